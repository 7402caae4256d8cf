"""Mean and variance of a batch, and the gradients through them, from sums over its parts.

Sums of samples are float64 and of differences from a pivot, one of the samples, which float64
holds exactly where samples are float32. So the variance, the mean of squares less the square of
the mean, loses few digits: the distance of one of n samples from their mean is at most sqrt(n)
deviations. A float32 mean is rounded by much where it is large against the deviation; what rounding
takes from it is made up for.

Sums of a part are rows (3, D): in the forward pass pivot, total, and squares; in the backward pass
those of dout, of dout xhat, and of xhat. Memory for sums is given by its address.
"""

import numpy as np

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import doubles, matrix
from fastnn.kernels.layers import batchnorm_steps as steps
from fastnn.kernels.plain.memory import CACHE_LINE
from fastnn.kernels.threading.driver import kernel

# Columns per cut of a kernel that sums over rows: a cache line of the smaller type.
COLUMNS = CACHE_LINE // np.dtype(np.float32).itemsize
SUMS = 3 * np.dtype(np.float64).itemsize  # bytes of a column's sums


@serial
def own_memory(space, start, width, rows, like):
    """Return sums of some columns, and so many rows of numbers, in the columns' own memory.

    A column has `SUMS` bytes, and its numbers.
    """
    address = space + start * (SUMS + rows * like.itemsize)
    return doubles(address, 3, width), matrix(address + width * SUMS, rows, width, like)


@serial
def origin(value):
    """Return what sums are taken from: the value, or 0 where it is not finite."""
    return np.float64(value) if value - value == 0 else 0.0


@serial
def _copy_columns(source, first, target):
    """Write the columns of sums from `first` on; Numba's own way may raise, and calls Python."""
    for row in range(3):
        for j in range(target.shape[1]):
            target[row, j] = source[row, first + j]


@serial
def join_moments(partial, first, block, n, sums):
    """Join the sums of parts of so many samples, n in all, as differences from the first pivot.

    `sums` are those of columns from `first` on.
    """
    last = first + sums.shape[1]
    _copy_columns(partial[0], first, sums)
    pivot, total, squares = sums[0], sums[1], sums[2]
    for i in range(1, partial.shape[0]):
        count = np.float64(min(block, n - i * block))
        own, added = partial[i, 0, first:last], partial[i, 1, first:last]
        spread = partial[i, 2, first:last]
        for j in range(total.size):
            off = own[j] - pivot[j]
            total[j] += added[j] + count * off
            squares[j] += spread[j] + off * (2 * added[j] + count * off)


@serial
def join_gradients(partial, first, sums):
    """Add up the sums of parts, for columns from `first` on."""
    last = first + sums.shape[1]
    _copy_columns(partial[0], first, sums)
    for i in range(1, partial.shape[0]):
        for row in range(3):
            total, added = sums[row], partial[i, row, first:last]
            for j in range(total.size):
                total[j] += added[j]


@serial
def finish(
    n, sums, gamma, beta, running_mean, running_var, momentum, eps, mean, rstd, slope, shift
):  # fmt: skip
    """Write mean and deviation of n samples, and what normalises them; move the running ones."""
    steps.statistics(
        mean.size, sums[0].ctypes.data, sums[1].ctypes.data, sums[2].ctypes.data,
        gamma.ctypes.data, beta.ctypes.data, running_mean.ctypes.data, running_var.ctypes.data,
        mean.ctypes.data, rstd.ctypes.data, slope.ctypes.data, shift.ctypes.data,
        1 / n, momentum, eps, mean.dtype.type(0),
    )  # fmt: skip


@serial
def finish_gradients(n, sums, gamma, rstd, dgamma, dbeta, slope, along, shift):
    """Write the gradients of gamma and beta, and what makes that of the n samples."""
    steps.parameter_gradients(
        rstd.size, sums[0].ctypes.data, sums[1].ctypes.data, sums[2].ctypes.data,
        gamma.ctypes.data, rstd.ctypes.data, dgamma.ctypes.data, dbeta.ctypes.data,
        slope.ctypes.data, along.ctypes.data, shift.ctypes.data, 1 / n, rstd.dtype.type(0),
    )  # fmt: skip


@kernel("mean.size", COLUMNS)
def finish_blocks(
    partial, block, n, gamma, beta, running_mean, running_var, momentum, eps, mean, rstd, slope,
    shift, space, start, stop,
):  # fmt: skip
    """Do as :func:`finish` with the sums of blocks of samples; `space` is for sums of all."""
    own = slice(start, stop)
    sums = doubles(space + start * SUMS, 3, stop - start)
    join_moments(partial, start, block, n, sums)
    finish(
        n, sums, gamma[own], beta[own], running_mean[own], running_var[own], momentum, eps,
        mean[own], rstd[own], slope[own], shift[own],
    )  # fmt: skip


@kernel("rstd.size", COLUMNS)
def finish_gradient_blocks(
    partial, n, gamma, rstd, dgamma, dbeta, slope, along, shift, space, start, stop
):
    """Do as :func:`finish_gradients` with the sums of blocks; `space` is for sums of all."""
    own = slice(start, stop)
    sums = doubles(space + start * SUMS, 3, stop - start)
    join_gradients(partial, start, sums)
    finish_gradients(
        n, sums, gamma[own], rstd[own], dgamma[own], dbeta[own], slope[own], along[own],
        shift[own],
    )  # fmt: skip


@kernel("slope.size", COLUMNS)
def slopes(gamma, running_var, eps, slope, start, stop):
    """Write gamma over the deviations of the running variances."""
    for j in range(start, stop):
        slope[j] = gamma[j] / np.sqrt(np.float64(running_var[j]) + eps)
