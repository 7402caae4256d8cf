"""Batch normalisation of rows: x is (N, D), the statistics are per column.

The statistics take one pass over x: sums, and squared distances from the mean of a few rows,
which are put together as for two sets of samples; sums are taken of the differences from the
first row, so that they are exact to more digits. (The formula E[x^2] - E[x]^2 loses all digits
where the mean is large against the spread.) A batch of few rows is cut by columns. One of many
is cut by rows: blocks of rows, whose number depends on N alone, leave their sums, and the next
pass goes over the rows again.
"""

import numpy as np

from fastnn.kernels.layers.batchnorm_rows import (
    add_gradients,
    add_moments,
    gradient_rows,
    join_blocks,
    join_gradients,
    normalise_rows,
)
from fastnn.kernels.layers.batchnorm_steps import WRITTEN_ROWS
from fastnn.kernels.layers.moments import COLUMNS, deviations, finish
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
    x, gamma, beta, mean, rstd = (
        x[:, start:stop], gamma[start:stop], beta[start:stop], mean[start:stop], rstd[start:stop]
    )  # fmt: skip
    add_moments(x, x[0], mean, rstd)
    finish(
        x.shape[0],
        x[0],
        running_mean[start:stop],
        running_var[start:stop],
        momentum,
        eps,
        mean,
        rstd,
    )
    normalise_rows(x, gamma, beta, mean, rstd, low, y[:, start:stop])


@kernel("partial.shape[0]")
def _block_moments(x, partial, start, stop):
    for i in range(start, stop):
        add_moments(x[i * BLOCK : (i + 1) * BLOCK], x[0], partial[i, 0], partial[i, 1])


@kernel("mean.size", COLUMNS)
def _join_moments(x, partial, running_mean, running_var, momentum, eps, mean, rstd, start, stop):
    n, total, squares = x.shape[0], mean[start:stop], rstd[start:stop]
    join_blocks(partial[:, :, start:stop], BLOCK, n, total, squares)
    finish(
        n, x[0, start:stop], running_mean[start:stop], running_var[start:stop], momentum, eps,
        total, squares,
    )  # fmt: skip


@kernel("x.shape[0]", WRITTEN_ROWS)
def _normalise(x, gamma, beta, mean, rstd, low, y, start, stop):
    normalise_rows(x[start:stop], gamma, beta, mean, rstd, low, y[start:stop])


def _forward(x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, low, chunks):
    n, d = x.shape
    if n <= TALL:
        _by_columns(
            x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, low, chunks
        )
        return
    partial = np.empty((-(-n // BLOCK), 2, d), x.dtype)
    _block_moments(x, partial, chunks)
    _join_moments(
        x, partial, running_mean, running_var, momentum, eps, mean, rstd,
        worth(chunks, partial.size),
    )  # fmt: skip
    _normalise(x, gamma, beta, mean, rstd, low, y, chunks)


def batchnorm(x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, chunks):
    """Normalise by the batch's own statistics and update the running ones."""
    _forward(
        x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, -np.inf, chunks
    )


def batchnorm_relu(x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, chunks):
    """Normalise as :func:`batchnorm`, then clamp at zero from below."""
    _forward(x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, 0.0, chunks)


def _inference(x, gamma, beta, running_mean, running_var, eps, y, low, chunks):
    rstd = np.empty_like(gamma)
    deviations(running_var, eps, rstd, 1)
    _normalise(x, gamma, beta, running_mean, rstd, low, y, chunks)


def batchnorm_inference(x, gamma, beta, running_mean, running_var, eps, y, chunks):
    """Normalise by the running statistics."""
    _inference(x, gamma, beta, running_mean, running_var, eps, y, -np.inf, chunks)


def batchnorm_relu_inference(x, gamma, beta, running_mean, running_var, eps, y, chunks):
    """Normalise by the running statistics, then clamp at zero from below."""
    _inference(x, gamma, beta, running_mean, running_var, eps, y, 0.0, chunks)


@kernel("x.shape[1]", COLUMNS)
def _backward_by_columns(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, start, stop):
    dout, x, y, dx = dout[:, start:stop], x[:, start:stop], y[:, start:stop], dx[:, start:stop]
    gamma, mean, rstd = gamma[start:stop], mean[start:stop], rstd[start:stop]
    dgamma, dbeta = dgamma[start:stop], dbeta[start:stop]
    add_gradients(dout, x, y, masked, mean, rstd, dgamma, dbeta)
    gradient_rows(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, x.shape[0])


@kernel("partial.shape[0]")
def _block_gradients(dout, x, y, masked, mean, rstd, partial, start, stop):
    for i in range(start, stop):
        rows = slice(i * BLOCK, (i + 1) * BLOCK)
        add_gradients(
            dout[rows], x[rows], y[rows], masked, mean, rstd, partial[i, 0], partial[i, 1]
        )


@kernel("dgamma.size", COLUMNS)
def _join_gradients(partial, dgamma, dbeta, start, stop):
    join_gradients(partial[:, :, start:stop], dgamma[start:stop], dbeta[start:stop])


@kernel("x.shape[0]", WRITTEN_ROWS)
def _gradient(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, start, stop):
    rows = slice(start, stop)
    gradient_rows(
        dout[rows], x[rows], y[rows], masked, gamma, mean, rstd, dx[rows], dgamma, dbeta,
        x.shape[0],
    )  # fmt: skip


def _backward(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, chunks):
    n, d = x.shape
    if n <= TALL:
        _backward_by_columns(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, chunks)
        return
    partial = np.empty((-(-n // BLOCK), 2, d), x.dtype)
    _block_gradients(dout, x, y, masked, mean, rstd, partial, chunks)
    _join_gradients(partial, dgamma, dbeta, worth(chunks, partial.size))
    _gradient(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, chunks)


def batchnorm_backward(dout, x, gamma, mean, rstd, dx, dgamma, dbeta, chunks):
    """Gradients of :func:`batchnorm` through the batch's own statistics."""
    _backward(dout, x, dout, False, gamma, mean, rstd, dx, dgamma, dbeta, chunks)


def batchnorm_relu_backward(dout, x, gamma, mean, rstd, y, dx, dgamma, dbeta, chunks):
    """Gradients of :func:`batchnorm_relu`, from its output y."""
    _backward(dout, x, y, True, gamma, mean, rstd, dx, dgamma, dbeta, chunks)
