"""Batch normalisation of images: x is (N, C, S), pixels flattened, the statistics per channel.

As in :mod:`fastnn.kernels.layers.batchnorm` the statistics are those of small sets of pixels, put
together; a set is still in the first-level cache when the distances from its mean are summed.
Work is cut by channels. Where these are few it is cut by blocks of images as well, whose number
depends on the shape alone: they leave their sums, and the next pass goes over the images again.
"""

import numpy as np

from fastnn.kernels.layers.batchnorm_planes import (
    gradient,
    gradient_sums,
    images,
    moments,
    normalise,
)
from fastnn.kernels.layers.moments import deviations, finish, join, shares
from fastnn.kernels.threading.driver import kernel
from fastnn.kernels.tuning import COMMON

__all__ = [
    "batchnorm_nchw",
    "batchnorm_nchw_backward",
    "batchnorm_nchw_inference",
    "batchnorm_nchw_relu",
    "batchnorm_nchw_relu_backward",
    "batchnorm_nchw_relu_inference",
]

# Parts that a call can be cut into, at least; more channels than this are not cut further.
PARTS = COMMON.norm_parts


@kernel("x.shape[1]")
def _by_channels(
    x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, low, start, stop
):
    bound = x.dtype.type(low)
    for c in range(start, stop):
        mean[c], rstd[c] = moments(x, c, 0, x.shape[0])
        one = slice(c, c + 1)
        finish(
            x.shape[0] * x.shape[2], x[0, c, :1], running_mean[one], running_var[one],
            momentum, eps, mean[one], rstd[one],
        )  # fmt: skip
        normalise(x, c, 0, x.shape[0], mean[c], gamma[c] * rstd[c], beta[c], bound, y)


@kernel("x.shape[1] * partial.shape[1]")
def _block_moments(x, partial, start, stop):
    blocks = partial.shape[1]
    for part in range(start, stop):
        c, block = part // blocks, part % blocks
        first, last = images(x, blocks, block)
        partial[c, block, 0], partial[c, block, 1] = moments(x, c, first, last)


@kernel("mean.size")
def _join_moments(x, partial, running_mean, running_var, momentum, eps, mean, rstd, start, stop):
    real = x.dtype.type
    blocks = partial.shape[1]
    for c in range(start, stop):
        total, squares, before = real(0), real(0), 0
        for block in range(blocks):
            first, last = images(x, blocks, block)
            count = (last - first) * x.shape[2]
            inverse, share, weight = shares(before, count)
            total, squares = join(
                total, squares, real(inverse), partial[c, block, 0], partial[c, block, 1],
                real(share), real(weight),
            )  # fmt: skip
            before += count
        mean[c], rstd[c] = total, squares
    finish(
        x.shape[0] * x.shape[2], x[0, start:stop, 0], running_mean[start:stop],
        running_var[start:stop], momentum, eps, mean[start:stop], rstd[start:stop],
    )  # fmt: skip


@kernel("x.shape[1] * blocks")
def _normalise_blocks(x, gamma, beta, mean, rstd, low, y, blocks, start, stop):
    bound = x.dtype.type(low)
    for part in range(start, stop):
        c, block = part // blocks, part % blocks
        first, last = images(x, blocks, block)
        normalise(x, c, first, last, mean[c], gamma[c] * rstd[c], beta[c], bound, y)


def _blocks(x):
    """Return into how many blocks of images to cut each channel."""
    return min(x.shape[0], -(-PARTS // x.shape[1]))


def _forward(x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, low, chunks):
    blocks = _blocks(x)
    if blocks == 1:
        _by_channels(
            x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, low, chunks
        )
        return
    partial = np.empty((x.shape[1], blocks, 2), x.dtype)
    _block_moments(x, partial, chunks)
    _join_moments(x, partial, running_mean, running_var, momentum, eps, mean, rstd, 1)
    _normalise_blocks(x, gamma, beta, mean, rstd, low, y, blocks, chunks)


def batchnorm_nchw(x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, chunks):
    """Normalise by the batch's own statistics and update the running ones."""
    _forward(
        x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, -np.inf, chunks
    )


def batchnorm_nchw_relu(
    x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, chunks
):
    """Normalise as :func:`batchnorm_nchw`, then clamp at zero from below."""
    _forward(x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, 0.0, chunks)


def _inference(x, gamma, beta, running_mean, running_var, eps, y, low, chunks):
    rstd = np.empty_like(gamma)
    deviations(running_var, eps, rstd, 1)
    _normalise_blocks(x, gamma, beta, running_mean, rstd, low, y, _blocks(x), chunks)


def batchnorm_nchw_inference(x, gamma, beta, running_mean, running_var, eps, y, chunks):
    """Normalise by the running statistics."""
    _inference(x, gamma, beta, running_mean, running_var, eps, y, -np.inf, chunks)


def batchnorm_nchw_relu_inference(x, gamma, beta, running_mean, running_var, eps, y, chunks):
    """Normalise by the running statistics, then clamp at zero from below."""
    _inference(x, gamma, beta, running_mean, running_var, eps, y, 0.0, chunks)


@kernel("x.shape[1]")
def _backward_by_channels(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, start, stop):
    n = x.shape[0]
    for c in range(start, stop):
        dbeta[c], dgamma[c] = gradient_sums(dout, x, y, masked, c, 0, n, mean[c], rstd[c])
        gradient(dout, x, y, masked, c, 0, n, gamma, mean, rstd, dx, dgamma, dbeta)


@kernel("x.shape[1] * partial.shape[1]")
def _block_gradients(dout, x, y, masked, mean, rstd, partial, start, stop):
    blocks = partial.shape[1]
    for part in range(start, stop):
        c, block = part // blocks, part % blocks
        first, last = images(x, blocks, block)
        partial[c, block, 0], partial[c, block, 1] = gradient_sums(
            dout, x, y, masked, c, first, last, mean[c], rstd[c]
        )


@kernel("dgamma.size")
def _join_gradients(partial, dgamma, dbeta, start, stop):
    zero = partial.dtype.type(0)
    for c in range(start, stop):
        dbeta[c], dgamma[c] = zero, zero
        for block in range(partial.shape[1]):
            dbeta[c] += partial[c, block, 0]
            dgamma[c] += partial[c, block, 1]


@kernel("x.shape[1] * blocks")
def _gradient_blocks(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, blocks, start, stop):
    for part in range(start, stop):
        c, block = part // blocks, part % blocks
        first, last = images(x, blocks, block)
        gradient(dout, x, y, masked, c, first, last, gamma, mean, rstd, dx, dgamma, dbeta)


def _backward(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, chunks):
    blocks = _blocks(x)
    if blocks == 1:
        _backward_by_channels(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, chunks)
        return
    partial = np.empty((x.shape[1], blocks, 2), x.dtype)
    _block_gradients(dout, x, y, masked, mean, rstd, partial, chunks)
    _join_gradients(partial, dgamma, dbeta, 1)
    _gradient_blocks(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, blocks, chunks)


def batchnorm_nchw_backward(dout, x, gamma, mean, rstd, dx, dgamma, dbeta, chunks):
    """Gradients of :func:`batchnorm_nchw` through the batch's own statistics."""
    _backward(dout, x, dout, False, gamma, mean, rstd, dx, dgamma, dbeta, chunks)


def batchnorm_nchw_relu_backward(dout, x, gamma, mean, rstd, y, dx, dgamma, dbeta, chunks):
    """Gradients of :func:`batchnorm_nchw_relu`, from its output y."""
    _backward(dout, x, y, True, gamma, mean, rstd, dx, dgamma, dbeta, chunks)
