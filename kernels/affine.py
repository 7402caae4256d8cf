"""Affine layers: the product by NumPy's BLAS, all that surrounds it fused into one pass."""

import numpy as np

from fastnn.kernels.driver import kernel

__all__ = ["affine", "affine_backward", "affine_relu", "affine_relu_backward"]

# Columns per cut of a kernel that sums over rows: a cache line of the smallest type.
COLUMNS = 16


@kernel("out.shape[0]")
def _add_bias(out, b, start, stop):
    for i in range(start, stop):
        y = out[i]
        for j in range(y.size):
            y[j] += b[j]


@kernel("out.shape[0]")
def _add_bias_relu(out, b, start, stop):
    zero = out.dtype.type(0)
    for i in range(start, stop):
        y = out[i]
        for j in range(y.size):
            z = y[j] + b[j]
            y[j] = zero if z <= zero else z


@kernel("db.size", COLUMNS)
def _column_sums(dout, db, start, stop):
    total = db[start:stop]
    total[:] = 0
    for i in range(dout.shape[0]):
        row = dout[i, start:stop]
        for j in range(row.size):
            total[j] += row[j]


@kernel("db.size", COLUMNS)
def _mask_and_column_sums(dout, y, dz, db, start, stop):
    zero = y.dtype.type(0)
    total = db[start:stop]
    total[:] = 0
    for i in range(dout.shape[0]):
        row, out, masked = dout[i, start:stop], y[i, start:stop], dz[i, start:stop]
        for j in range(row.size):
            d = zero if out[j] <= zero else row[j]
            masked[j] = d
            total[j] += d


def _dot(a, b, out):
    with np.errstate(all="ignore"):  # a NaN shows in the result, as in the other kernels
        np.dot(a, b, out=out)


def affine(x, W, b, out, chunks):
    """out = x W + b."""
    _dot(x, W, out)
    _add_bias(out, b, chunks)


def affine_relu(x, W, b, out, chunks):
    """out = max(x W + b, 0)."""
    _dot(x, W, out)
    _add_bias_relu(out, b, chunks)


def affine_backward(dout, x, W, dx, dW, db, chunks):
    """Gradients of x W + b; dx may be None, and is then not computed."""
    _column_sums(dout, db, chunks)
    _products(dout, x, W, dx, dW)


def affine_relu_backward(dout, x, W, y, dz, dx, dW, db, chunks):
    """Gradients of max(x W + b, 0) from its output y; dz is a workspace shaped like y."""
    _mask_and_column_sums(dout, y, dz, db, chunks)
    _products(dz, x, W, dx, dW)


def _products(dz, x, W, dx, dW):
    _dot(x.T, dz, dW)
    if dx is not None:
        _dot(dz, W.T, dx)
