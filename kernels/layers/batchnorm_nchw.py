"""Batch normalisation of images: x is (N, C, S), pixels flattened, the statistics per channel.

Work is cut by channels. Where these are few it is cut by blocks of images as well, whose number
depends on the shape alone: they leave their sums, and the next pass goes over the images again.
The statistics are as in :mod:`fastnn.kernels.layers.moments`.
"""

import numpy as np

from fastnn.kernels.layers.batchnorm_planes import (
    gradient,
    gradient_sums,
    images,
    moments,
    normalise,
)
from fastnn.kernels.layers.moments import (
    finish,
    finish_blocks,
    finish_gradient_blocks,
    finish_gradients,
    slopes,
)
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
    sums, scales = np.empty((3, 1)), np.empty((2, 1), x.dtype)
    for c in range(start, stop):
        moments(x, c, 0, x.shape[0], sums[:, 0])
        one = slice(c, c + 1)
        finish(
            x.shape[0] * x.shape[2], sums, gamma[one], beta[one], running_mean[one],
            running_var[one], momentum, eps, mean[one], rstd[one], scales[0], scales[1],
        )  # fmt: skip
        normalise(x, c, 0, x.shape[0], mean[c], scales[0, 0], scales[1, 0], bound, y)


@kernel("x.shape[1] * partial.shape[0]")
def _block_moments(x, partial, start, stop):
    blocks = partial.shape[0]
    for part in range(start, stop):
        c, block = part // blocks, part % blocks
        first, last = images(x, blocks, block)
        moments(x, c, first, last, partial[block, :, c])


@kernel("x.shape[1] * blocks")
def _normalise_blocks(x, mean, slope, shift, low, y, blocks, start, stop):
    bound = x.dtype.type(low)
    for part in range(start, stop):
        c, block = part // blocks, part % blocks
        first, last = images(x, blocks, block)
        normalise(x, c, first, last, mean[c], slope[c], shift[c], bound, y)


def _blocks(x):
    """Return into how many blocks of images to cut each channel."""
    return min(x.shape[0], -(-PARTS // x.shape[1]))


def _forward(x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, low, chunks):
    n, c, s = x.shape
    blocks = _blocks(x)
    if blocks == 1:
        _by_channels(
            x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, low, chunks
        )
        return
    partial = np.empty((blocks, 3, c))
    slope, shift = np.empty((2, c), x.dtype)
    _block_moments(x, partial, chunks)
    # Blocks have one pivot, and so it does not matter how many images they are of.
    finish_blocks(
        partial, 0, n * s, gamma, beta, running_mean, running_var, momentum, eps, mean, rstd,
        slope, shift, 1,
    )  # fmt: skip
    _normalise_blocks(x, mean, slope, shift, low, y, blocks, chunks)


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
    slope = np.empty_like(gamma)
    slopes(gamma, running_var, eps, slope, 1)
    _normalise_blocks(x, running_mean, slope, beta, low, y, _blocks(x), chunks)


def batchnorm_nchw_inference(x, gamma, beta, running_mean, running_var, eps, y, chunks):
    """Normalise by the running statistics."""
    _inference(x, gamma, beta, running_mean, running_var, eps, y, -np.inf, chunks)


def batchnorm_nchw_relu_inference(x, gamma, beta, running_mean, running_var, eps, y, chunks):
    """Normalise by the running statistics, then clamp at zero from below."""
    _inference(x, gamma, beta, running_mean, running_var, eps, y, 0.0, chunks)


@kernel("x.shape[1]")
def _backward_by_channels(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, start, stop):
    n = x.shape[0]
    sums, scales = np.empty((3, 1)), np.empty((3, 1), x.dtype)
    slope, along, shift = scales[0], scales[1], scales[2]
    for c in range(start, stop):
        gradient_sums(dout, x, y, masked, c, 0, n, mean[c], rstd[c], sums[:, 0])
        one = slice(c, c + 1)
        finish_gradients(
            n * x.shape[2], sums, gamma[one], rstd[one], dgamma[one], dbeta[one], slope, along,
            shift,
        )  # fmt: skip
        gradient(dout, x, y, masked, c, 0, n, mean[c], rstd[c], slope[0], along[0], shift[0], dx)


@kernel("x.shape[1] * partial.shape[0]")
def _block_gradients(dout, x, y, masked, mean, rstd, partial, start, stop):
    blocks = partial.shape[0]
    for part in range(start, stop):
        c, block = part // blocks, part % blocks
        first, last = images(x, blocks, block)
        gradient_sums(dout, x, y, masked, c, first, last, mean[c], rstd[c], partial[block, :, c])


@kernel("x.shape[1] * blocks")
def _gradient_blocks(dout, x, y, masked, mean, rstd, slope, along, shift, dx, blocks, start, stop):
    for part in range(start, stop):
        c, block = part // blocks, part % blocks
        first, last = images(x, blocks, block)
        gradient(
            dout, x, y, masked, c, first, last, mean[c], rstd[c], slope[c], along[c], shift[c], dx
        )


def _backward(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, chunks):
    n, c, s = x.shape
    blocks = _blocks(x)
    if blocks == 1:
        _backward_by_channels(dout, x, y, masked, gamma, mean, rstd, dx, dgamma, dbeta, chunks)
        return
    partial = np.empty((blocks, 3, c))
    slope, along, shift = np.empty((3, c), x.dtype)
    _block_gradients(dout, x, y, masked, mean, rstd, partial, chunks)
    finish_gradient_blocks(partial, n * s, gamma, rstd, dgamma, dbeta, slope, along, shift, 1)
    _gradient_blocks(dout, x, y, masked, mean, rstd, slope, along, shift, dx, blocks, chunks)


def batchnorm_nchw_backward(dout, x, gamma, mean, rstd, dx, dgamma, dbeta, chunks):
    """Gradients of :func:`batchnorm_nchw` through the batch's own statistics."""
    _backward(dout, x, dout, False, gamma, mean, rstd, dx, dgamma, dbeta, chunks)


def batchnorm_nchw_relu_backward(dout, x, gamma, mean, rstd, y, dx, dgamma, dbeta, chunks):
    """Gradients of :func:`batchnorm_nchw_relu`, from its output y."""
    _backward(dout, x, y, True, gamma, mean, rstd, dx, dgamma, dbeta, chunks)
