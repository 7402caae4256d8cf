"""Affine layers: products with bias and ReLU in them, and their gradients."""

from fastnn.kernels.driver import kernel
from fastnn.kernels.gemm import product
from fastnn.kernels.threads import worth

__all__ = ["affine", "affine_backward", "affine_relu", "affine_relu_backward"]

# Columns per cut of a kernel that sums over rows: a cache line of the smallest type.
COLUMNS = 16


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


def affine(x, W, b, out, chunks):
    """out = x W + b."""
    product(x, W, out, chunks, bias=b)


def affine_relu(x, W, b, out, chunks):
    """out = max(x W + b, 0)."""
    product(x, W, out, chunks, bias=b, relu=True)


def affine_backward(dout, x, W, dx, dW, db, chunks):
    """Gradients of x W + b; dx may be None, and is then not computed."""
    _column_sums(dout, db, worth(chunks, dout.size))
    _products(dout, x, W, dx, dW, chunks)


def affine_relu_backward(dout, x, W, y, dz, dx, dW, db, chunks):
    """Gradients of max(x W + b, 0) from its output y; dz is a workspace shaped like y."""
    _mask_and_column_sums(dout, y, dz, db, worth(chunks, dout.size))
    _products(dz, x, W, dx, dW, chunks)


def _products(dz, x, W, dx, dW, chunks):
    product(x, dz, dW, chunks, transpose_a=True)
    if dx is not None:
        product(dz, W, dx, chunks, transpose_b=True)
