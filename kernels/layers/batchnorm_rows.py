"""Batch normalisation of some rows: sums over them, what is joined of such sums, what is written.

The kernels of :mod:`fastnn.kernels.layers.batchnorm` and the training program cut a batch in
different ways; the arithmetic is this.
"""

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.layers.batchnorm_steps import (
    MOMENTS_ROWS,
    SUMS_ROWS,
    WRITTEN_ROWS,
    gradient,
    gradient_sums,
    moments,
    normalise,
)
from fastnn.kernels.layers.moments import join, shares


@serial
def add_moments(x, first, total, squares):
    """Write the sums of the rows less the first, and of squared distances from their mean."""
    real = x.dtype.type
    total[:] = 0
    squares[:] = 0
    n, i = x.shape[0], 0
    while i < n:
        rows = MOMENTS_ROWS if n - i >= MOMENTS_ROWS else 1
        inverse, _, weight = shares(i, rows)
        moments(
            x.ctypes.data + i * x.strides[0], x.strides[0], x.shape[1],
            first.ctypes.data, total.ctypes.data, squares.ctypes.data, real(inverse), real(weight),
            rows,
        )  # fmt: skip
        i += rows


@serial
def join_blocks(partial, block, n, total, squares):
    """Join what :func:`add_moments` left of blocks of rows, n rows in all."""
    real = total.dtype.type
    total[:] = 0
    squares[:] = 0
    for i in range(partial.shape[0]):
        before, rows = i * block, min(block, n - i * block)
        inverse, share, weight = shares(before, rows)
        inverse, share, weight = real(inverse), real(share), real(weight)
        added, spread = partial[i, 0], partial[i, 1]
        for j in range(total.size):
            total[j], squares[j] = join(
                total[j], squares[j], inverse, added[j], spread[j], share, weight
            )


@serial
def normalise_rows(x, gamma, beta, mean, rstd, low, y):
    """Write gamma (x - mean) rstd + beta, not below `low`."""
    last, i = x.shape[0], 0
    while i < last:
        rows = WRITTEN_ROWS if last - i >= WRITTEN_ROWS else 1
        normalise(
            x.ctypes.data + i * x.strides[0], x.strides[0],
            y.ctypes.data + i * y.strides[0], y.strides[0], x.shape[1],
            mean.ctypes.data, rstd.ctypes.data, gamma.ctypes.data, beta.ctypes.data,
            x.dtype.type(low), rows,
        )  # fmt: skip
        i += rows


@serial
def add_gradients(dout, x, y, masked, mean, rstd, dgamma, dbeta):
    """Write the sums dgamma and dbeta of the rows; `masked` says that they pass where y > 0."""
    dgamma[:] = 0
    dbeta[:] = 0
    n, i = x.shape[0], 0
    while i < n:
        rows = SUMS_ROWS if n - i >= SUMS_ROWS else 1
        gradient_sums(
            dout.ctypes.data + i * dout.strides[0], dout.strides[0],
            x.ctypes.data + i * x.strides[0], x.strides[0],
            y.ctypes.data + i * y.strides[0] if masked else 0, y.strides[0], x.shape[1],
            mean.ctypes.data, rstd.ctypes.data, dbeta.ctypes.data, dgamma.ctypes.data,
            x.dtype.type(0), rows,
        )  # fmt: skip
        i += rows


@serial
def join_gradients(partial, dgamma, dbeta):
    """Add up what :func:`add_gradients` left of blocks of rows."""
    dgamma[:] = 0
    dbeta[:] = 0
    for i in range(partial.shape[0]):
        for j in range(dgamma.size):
            dgamma[j] += partial[i, 0, j]
            dbeta[j] += partial[i, 1, j]


@serial
def gradient_rows(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, n):
    """Write gamma rstd (dout - (dbeta + xhat dgamma) / n); `masked` says where y > 0."""
    inverse = x.dtype.type(1 / n)
    last, i = x.shape[0], 0
    while i < last:
        rows = WRITTEN_ROWS if last - i >= WRITTEN_ROWS else 1
        gradient(
            dout.ctypes.data + i * dout.strides[0], dout.strides[0],
            x.ctypes.data + i * x.strides[0], x.strides[0],
            y.ctypes.data + i * y.strides[0] if masked else 0, y.strides[0],
            dx.ctypes.data + i * dx.strides[0], dx.strides[0], x.shape[1],
            mean.ctypes.data, rstd.ctypes.data, gamma.ctypes.data, dbeta.ctypes.data,
            dgamma.ctypes.data, inverse, rows,
        )  # fmt: skip
        i += rows
