"""Batch normalisation of some rows: sums over them, and what is written.

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
from fastnn.kernels.layers.moments import origin
from fastnn.kernels.tuning import COMMON

# Rows whose gradients are summed in their own type.
SUMMED_ROWS = COMMON.summed_rows


@serial
def add_moments(x, sums):
    """Write the sums of the rows, and of their squares, as differences from the first."""
    pivot, first = sums[0], x[0]
    for j in range(pivot.size):
        pivot[j] = origin(first[j])
    sums[1:] = 0
    n, i = x.shape[0], 0
    while i < n:
        rows = MOMENTS_ROWS if n - i >= MOMENTS_ROWS else 1
        moments(
            x.ctypes.data + i * x.strides[0], x.strides[0], x.shape[1],
            pivot.ctypes.data, sums[1].ctypes.data, sums[2].ctypes.data, x.dtype.type(0), rows,
        )  # fmt: skip
        i += rows


@serial
def normalise_rows(x, mean, slope, shift, low, y):
    """Write (x - mean) slope + shift, not below `low`."""
    last, i = x.shape[0], 0
    while i < last:
        rows = WRITTEN_ROWS if last - i >= WRITTEN_ROWS else 1
        normalise(
            x.ctypes.data + i * x.strides[0], x.strides[0],
            y.ctypes.data + i * y.strides[0], y.strides[0], x.shape[1],
            mean.ctypes.data, slope.ctypes.data, shift.ctypes.data, x.dtype.type(low), rows,
        )  # fmt: skip
        i += rows


@serial
def add_gradients(dout, x, y, masked, mean, rstd, sums, part):
    """Write the sums of dout, dout xhat and xhat; `masked` says that dout passes where y > 0.

    Those of some rows are taken in their own type, in `part`, and then added in float64.
    """
    sums[:] = 0
    part[:] = 0
    n, i = x.shape[0], 0
    while i < n:
        last = min(n, i + SUMMED_ROWS)
        while i < last:
            rows = SUMS_ROWS if last - i >= SUMS_ROWS else 1
            gradient_sums(
                dout.ctypes.data + i * dout.strides[0], dout.strides[0],
                x.ctypes.data + i * x.strides[0], x.strides[0],
                y.ctypes.data + i * y.strides[0] if masked else 0, y.strides[0], x.shape[1],
                mean.ctypes.data, rstd.ctypes.data,
                part[0].ctypes.data, part[1].ctypes.data, part[2].ctypes.data,
                x.dtype.type(0), rows,
            )  # fmt: skip
            i += rows
        for row in range(3):
            total, added = sums[row], part[row]
            for j in range(total.size):
                total[j] += added[j]
                added[j] = 0


@serial
def gradient_rows(dout, x, y, masked, mean, rstd, slope, along, shift, dx):
    """Write slope (dout - xhat along - shift); `masked` says that dout passes where y > 0."""
    last, i = x.shape[0], 0
    while i < last:
        rows = WRITTEN_ROWS if last - i >= WRITTEN_ROWS else 1
        gradient(
            dout.ctypes.data + i * dout.strides[0], dout.strides[0],
            x.ctypes.data + i * x.strides[0], x.strides[0],
            y.ctypes.data + i * y.strides[0] if masked else 0, y.strides[0],
            dx.ctypes.data + i * dx.strides[0], dx.strides[0], x.shape[1],
            mean.ctypes.data, rstd.ctypes.data, slope.ctypes.data, along.ctypes.data,
            shift.ctypes.data, x.dtype.type(0), rows,
        )  # fmt: skip
        i += rows
