"""Batch normalisation of rows: x is (N, D), the statistics are per column.

The statistics take one pass over x: see :mod:`fastnn.kernels.layers.moments`. A batch of few rows
is cut by columns. One of many is cut by rows: blocks of rows, whose number depends on N alone,
leave their sums, and the next pass goes over the rows again.
"""

import numpy as np

from fastnn.kernels.layers.batchnorm_rows import (
    add_gradients,
    add_moments,
    gradient_rows,
    normalise_rows,
)
from fastnn.kernels.layers.batchnorm_steps import WRITTEN_ROWS
from fastnn.kernels.layers.moments import (
    COLUMNS,
    finish,
    finish_blocks,
    finish_gradient_blocks,
    finish_gradients,
    slopes,
)
from fastnn.kernels.threading.driver import kernel
from fastnn.kernels.threading.threads import worth
from fastnn.kernels.tuning import COMMON

__all__ = [
    "batchnorm",
    "batchnorm_backward",
    "batchnorm_inference",
    "batchnorm_relu",
    "batchnorm_relu_backward",
    "batchnorm_relu_inference",
]

# Rows of a block, and from how many rows on a batch is cut into blocks.
BLOCK, TALL = COMMON.norm_block, COMMON.norm_tall


@kernel("x.shape[1]", COLUMNS)
def _by_columns(
    x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, low, start, stop
):
    own = slice(start, stop)
    rows, centre = x[:, own], mean[own]
    sums, scales = np.empty((3, stop - start)), np.empty((2, stop - start), x.dtype)
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


def _forward(x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, low, chunks):
    n, d = x.shape
    if n <= TALL:
        _by_columns(
            x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, low, chunks
        )
        return
    partial = np.empty((-(-n // BLOCK), 3, d))
    slope, shift = np.empty((2, d), x.dtype)
    _block_moments(x, partial, chunks)
    finish_blocks(
        partial, BLOCK, n, gamma, beta, running_mean, running_var, momentum, eps, mean, rstd,
        slope, shift, worth(chunks, partial.size),
    )  # fmt: skip
    _normalise(x, mean, slope, shift, low, y, chunks)


def batchnorm(x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, chunks):
    """Normalise by the batch's own statistics and update the running ones."""
    _forward(
        x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, -np.inf, chunks
    )


def batchnorm_relu(x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, chunks):
    """Normalise as :func:`batchnorm`, then clamp at zero from below."""
    _forward(x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, 0.0, chunks)


def _inference(x, gamma, beta, running_mean, running_var, eps, y, low, chunks):
    slope = np.empty_like(gamma)
    slopes(gamma, running_var, eps, slope, 1)
    _normalise(x, running_mean, slope, beta, low, y, chunks)


def batchnorm_inference(x, gamma, beta, running_mean, running_var, eps, y, chunks):
    """Normalise by the running statistics."""
    _inference(x, gamma, beta, running_mean, running_var, eps, y, -np.inf, chunks)


def batchnorm_relu_inference(x, gamma, beta, running_mean, running_var, eps, y, chunks):
    """Normalise by the running statistics, then clamp at zero from below."""
    _inference(x, gamma, beta, running_mean, running_var, eps, y, 0.0, chunks)


@kernel("x.shape[1]", COLUMNS)
def _backward_by_columns(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, start, stop):
    own = slice(start, stop)
    dout, x, y, dx, mean, rstd = (
        dout[:, own],
        x[:, own],
        y[:, own],
        dx[:, own],
        mean[own],
        rstd[own],
    )
    sums, scales = np.empty((3, stop - start)), np.empty((6, stop - start), x.dtype)
    slope, along, shift = scales[0], scales[1], scales[2]
    add_gradients(dout, x, y, masked, mean, rstd, sums, scales[3:])
    finish_gradients(
        x.shape[0], sums, gamma[own], rstd, dgamma[own], dbeta[own], slope, along, shift
    )
    gradient_rows(dout, x, y, masked, mean, rstd, slope, along, shift, dx)


@kernel("partial.shape[0]")
def _block_gradients(dout, x, y, masked, mean, rstd, partial, start, stop):
    part = np.empty((3, x.shape[1]), x.dtype)
    for i in range(start, stop):
        rows = slice(i * BLOCK, (i + 1) * BLOCK)
        add_gradients(dout[rows], x[rows], y[rows], masked, mean, rstd, partial[i], part)


@kernel("x.shape[0]", WRITTEN_ROWS)
def _gradient(dout, x, y, masked, mean, rstd, slope, along, shift, dx, start, stop):
    rows = slice(start, stop)
    gradient_rows(dout[rows], x[rows], y[rows], masked, mean, rstd, slope, along, shift, dx[rows])


def _backward(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, chunks):
    n, d = x.shape
    if n <= TALL:
        _backward_by_columns(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, chunks)
        return
    partial = np.empty((-(-n // BLOCK), 3, d))
    slope, along, shift = np.empty((3, d), x.dtype)
    _block_gradients(dout, x, y, masked, mean, rstd, partial, chunks)
    finish_gradient_blocks(
        partial, n, gamma, rstd, dgamma, dbeta, slope, along, shift, worth(chunks, partial.size)
    )
    _gradient(dout, x, y, masked, mean, rstd, slope, along, shift, dx, chunks)


def batchnorm_backward(dout, x, gamma, mean, rstd, dx, dgamma, dbeta, chunks):
    """Gradients of :func:`batchnorm` through the batch's own statistics."""
    _backward(dout, x, dout, False, gamma, mean, rstd, dx, dgamma, dbeta, chunks)


def batchnorm_relu_backward(dout, x, gamma, mean, rstd, y, dx, dgamma, dbeta, chunks):
    """Gradients of :func:`batchnorm_relu`, from its output y."""
    _backward(dout, x, y, True, gamma, mean, rstd, dx, dgamma, dbeta, chunks)
