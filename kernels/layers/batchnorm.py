"""Batch normalisation of rows: x is (N, D), the statistics are per column.

The statistics take one pass over x: see :mod:`fastnn.kernels.layers.moments`. A batch of few rows
is cut by columns, into strips that the next pass finds in the cache. One of many is cut by rows:
blocks of rows, whose number depends on N alone, leave their sums, and the next pass goes over the
rows again.

A bound `low`, 0, makes the result that of ReLU: the output `y` is given to the backward pass then.
"""

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import claim, cube, doubles, is_absent, matrix, vector
from fastnn.kernels.layers.batchnorm_rows import (
    add_gradients,
    add_moments,
    gradient_rows,
    normalise_rows,
)
from fastnn.kernels.layers.batchnorm_steps import WRITTEN_ROWS
from fastnn.kernels.layers.moments import (
    COLUMNS,
    SUMS,
    finish,
    finish_blocks,
    finish_gradient_blocks,
    finish_gradients,
    own_memory,
    slopes,
)
from fastnn.kernels.machine.words import REFUSED
from fastnn.kernels.threading.driver import kernel, worth
from fastnn.kernels.tuning import COMMON

__all__ = ["batchnorm", "batchnorm_backward", "batchnorm_inference"]

# Rows of a block, and from how many rows on a batch is cut into blocks.
BLOCK, TALL = COMMON.norm_block, COMMON.norm_tall
STRIP = COMMON.norm_strip  # bytes


@serial
def _blocks(n):
    """Return into how many blocks of rows to cut a batch, 0 for one that is cut by columns."""
    return 0 if n <= TALL else -(-n // BLOCK)


@serial
def _strip(x):
    """Return how many columns of a batch are taken through all passes together."""
    return max(1, STRIP // (x.shape[0] * x.itemsize * COLUMNS)) * COLUMNS


# Numbers that a column has in each pass by columns, beside its sums.
_SCALES, _GRADIENT_SCALES = 2, 6


@kernel("x.shape[1]", COLUMNS)
def _by_columns(
    x, gamma, beta, running_mean, running_var, momentum, eps, low, y, mean, rstd, space, start, stop
):
    for first in range(start, stop, _strip(x)):
        _of_strip(
            x, gamma, beta, running_mean, running_var, momentum, eps, low, y, mean, rstd, space,
            first, min(stop, first + _strip(x)),
        )  # fmt: skip


@serial
def _of_strip(
    x, gamma, beta, running_mean, running_var, momentum, eps, low, y, mean, rstd, space, start, stop
):
    own = slice(start, stop)
    rows, centre = x[:, own], mean[own]
    sums, scales = own_memory(space, start, stop - start, _SCALES, x)
    add_moments(rows, sums)
    finish(
        x.shape[0], sums, gamma[own], beta[own], running_mean[own], running_var[own], momentum,
        eps, centre, rstd[own], scales[0], scales[1],
    )  # fmt: skip
    normalise_rows(rows, centre, scales[0], scales[1], low, y[:, own])


@kernel("partial.shape[0]")
def _block_moments(x, partial, start, stop):
    for i in range(start, stop):
        add_moments(x[i * BLOCK : (i + 1) * BLOCK], partial[i])


@kernel("x.shape[0]", WRITTEN_ROWS)
def _normalise(x, mean, slope, shift, low, y, start, stop):
    normalise_rows(x[start:stop], mean, slope, shift, low, y[start:stop])


@serial
def batchnorm(
    x, gamma, beta, running_mean, running_var, momentum, eps, low, y, mean, rstd, chunks, space
):
    """Normalise by the batch's own statistics, not below `low`, and update the running ones."""
    n, d = x.shape
    if x.size == 0:
        return REFUSED
    blocks = _blocks(n)
    begin, wanted = claim(space, d * ((blocks + 1) * SUMS + _SCALES * x.itemsize))
    if wanted > 0:
        return wanted
    if blocks == 0:
        _by_columns(
            x, gamma, beta, running_mean, running_var, momentum, eps, low, y, mean, rstd, begin,
            chunks,
        )  # fmt: skip
        return 0
    joined = begin + blocks * d * SUMS
    partial = cube(begin, blocks, 3, d, doubles(joined, 3, d))
    scales = matrix(joined + d * SUMS, _SCALES, d, x)
    slope, shift = scales[0], scales[1]
    _block_moments(x, partial, chunks)
    finish_blocks(
        partial, BLOCK, n, gamma, beta, running_mean, running_var, momentum, eps, mean, rstd,
        slope, shift, joined, worth(chunks, partial.size),
    )  # fmt: skip
    _normalise(x, mean, slope, shift, low, y, chunks)
    return 0


@serial
def batchnorm_inference(x, gamma, beta, running_mean, running_var, eps, low, y, chunks, space):
    """Normalise by the running statistics, not below `low`."""
    begin, wanted = claim(space, gamma.size * gamma.itemsize)
    if wanted > 0:
        return wanted
    slope = vector(begin, gamma.size, gamma)
    slopes(gamma, running_var, eps, slope, 1)
    _normalise(x, running_mean, slope, beta, low, y, chunks)
    return 0


@kernel("x.shape[1]", COLUMNS)
def _backward_by_columns(
    dout, x, gamma, mean, rstd, y, masked, dx, dgamma, dbeta, space, start, stop
):
    for first in range(start, stop, _strip(x)):
        _backward_of_strip(
            dout, x, gamma, mean, rstd, y, masked, dx, dgamma, dbeta, space, first,
            min(stop, first + _strip(x)),
        )  # fmt: skip


@serial
def _backward_of_strip(
    dout, x, gamma, mean, rstd, y, masked, dx, dgamma, dbeta, space, start, stop
):
    own = slice(start, stop)
    dout, x, y, dx, mean, rstd = (
        dout[:, own],
        x[:, own],
        y[:, own],
        dx[:, own],
        mean[own],
        rstd[own],
    )
    sums, scales = own_memory(space, start, stop - start, _GRADIENT_SCALES, x)
    slope, along, shift = scales[0], scales[1], scales[2]
    add_gradients(dout, x, y, masked, mean, rstd, sums, scales[3:])
    finish_gradients(
        x.shape[0], sums, gamma[own], rstd, dgamma[own], dbeta[own], slope, along, shift
    )
    gradient_rows(dout, x, y, masked, mean, rstd, slope, along, shift, dx)


@kernel("partial.shape[0]")
def _block_gradients(dout, x, mean, rstd, y, masked, partial, space, start, stop):
    # Of memory that there is for each block, that of the first is enough for all of a chunk.
    part = matrix(space + start * 3 * x.shape[1] * x.itemsize, 3, x.shape[1], x)
    for i in range(start, stop):
        rows = slice(i * BLOCK, (i + 1) * BLOCK)
        add_gradients(dout[rows], x[rows], y[rows], masked, mean, rstd, partial[i], part)


@kernel("x.shape[0]", WRITTEN_ROWS)
def _gradient(dout, x, mean, rstd, y, masked, slope, along, shift, dx, start, stop):
    rows = slice(start, stop)
    gradient_rows(dout[rows], x[rows], y[rows], masked, mean, rstd, slope, along, shift, dx[rows])


@serial
def batchnorm_backward(dout, x, gamma, mean, rstd, y, dx, dgamma, dbeta, chunks, space):
    """Gradients of :func:`batchnorm` through the batch's own statistics.

    y, its output, is given where it is not below 0, and dout counts where it is above.
    """
    n, d = x.shape
    if x.size == 0:
        return REFUSED
    masked, blocks = not is_absent(y), _blocks(n)
    numbers = max(_GRADIENT_SCALES, 3 + 3 * blocks)
    begin, wanted = claim(space, d * ((blocks + 1) * SUMS + numbers * x.itemsize))
    if wanted > 0:
        return wanted
    if blocks == 0:
        _backward_by_columns(
            dout, x, gamma, mean, rstd, y, masked, dx, dgamma, dbeta, begin, chunks
        )
        return 0
    joined = begin + blocks * d * SUMS
    partial = cube(begin, blocks, 3, d, doubles(joined, 3, d))
    scales = matrix(joined + d * SUMS, 3, d, x)
    slope, along, shift = scales[0], scales[1], scales[2]
    parts = joined + d * SUMS + 3 * d * x.itemsize
    _block_gradients(dout, x, mean, rstd, y, masked, partial, parts, chunks)
    finish_gradient_blocks(
        partial, n, gamma, rstd, dgamma, dbeta, slope, along, shift, joined,
        worth(chunks, partial.size),
    )  # fmt: skip
    _gradient(dout, x, mean, rstd, y, masked, slope, along, shift, dx, chunks)
    return 0
