"""Batch normalisation of images: x is (N, C, S), pixels flattened, the statistics per channel.

Work is cut by channels. Where these are few it is cut by blocks of images as well, whose number
depends on the shape alone: they leave their sums, and the next pass goes over the images again.
The statistics are as in :mod:`fastnn.kernels.layers.moments`; `low` and `y` are as in
:mod:`fastnn.kernels.layers.batchnorm`.
"""

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import claim, cube, doubles, is_absent, matrix, vector
from fastnn.kernels.codegen.raw import stack
from fastnn.kernels.layers.batchnorm_planes import (
    gradient,
    gradient_sums,
    images,
    moments,
    normalise,
)
from fastnn.kernels.layers.moments import (
    SUMS,
    finish,
    finish_blocks,
    finish_gradient_blocks,
    finish_gradients,
    slopes,
)
from fastnn.kernels.machine.words import REFUSED
from fastnn.kernels.threading.driver import kernel
from fastnn.kernels.tuning import COMMON

__all__ = ["batchnorm_nchw", "batchnorm_nchw_backward", "batchnorm_nchw_inference"]

# Parts that a call can be cut into, at least; more channels than this are not cut further.
PARTS = COMMON.norm_parts


@kernel("x.shape[1]")
def _by_channels(
    x, gamma, beta, running_mean, running_var, momentum, eps, low, y, mean, rstd, start, stop
):
    bound = x.dtype.type(low)
    sums, scales = doubles(stack(3), 3, 1), matrix(stack(2), 2, 1, x)
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


@serial
def _blocks(x):
    """Return into how many blocks of images to cut each channel."""
    return min(x.shape[0], -(-PARTS // x.shape[1]))


@serial
def batchnorm_nchw(
    x, gamma, beta, running_mean, running_var, momentum, eps, low, y, mean, rstd, chunks, space
):
    """Normalise by the batch's own statistics, not below `low`, and update the running ones."""
    n, c, s = x.shape
    if x.size == 0:
        return REFUSED
    blocks = _blocks(x)
    if blocks == 1:
        _by_channels(
            x, gamma, beta, running_mean, running_var, momentum, eps, low, y, mean, rstd, chunks
        )
        return 0
    begin, wanted = claim(space, c * ((blocks + 1) * SUMS + 2 * x.itemsize))
    if wanted > 0:
        return wanted
    joined = begin + blocks * c * SUMS
    partial = cube(begin, blocks, 3, c, doubles(joined, 3, c))
    scales = matrix(joined + c * SUMS, 2, c, x)
    slope, shift = scales[0], scales[1]
    _block_moments(x, partial, chunks)
    # Blocks have one pivot, and so it does not matter how many images they are of.
    finish_blocks(
        partial, 0, n * s, gamma, beta, running_mean, running_var, momentum, eps, mean, rstd,
        slope, shift, joined, 1,
    )  # fmt: skip
    _normalise_blocks(x, mean, slope, shift, low, y, blocks, chunks)
    return 0


@serial
def batchnorm_nchw_inference(x, gamma, beta, running_mean, running_var, eps, low, y, chunks, space):
    """Normalise by the running statistics, not below `low`."""
    if x.size == 0:
        return 0
    begin, wanted = claim(space, gamma.size * gamma.itemsize)
    if wanted > 0:
        return wanted
    slope = vector(begin, gamma.size, gamma)
    slopes(gamma, running_var, eps, slope, 1)
    _normalise_blocks(x, running_mean, slope, beta, low, y, _blocks(x), chunks)
    return 0


@kernel("x.shape[1]")
def _backward_by_channels(dout, x, gamma, mean, rstd, y, masked, dx, dgamma, dbeta, start, stop):
    n = x.shape[0]
    sums, scales = doubles(stack(3), 3, 1), matrix(stack(3), 3, 1, x)
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
def _block_gradients(dout, x, mean, rstd, y, masked, partial, start, stop):
    blocks = partial.shape[0]
    for part in range(start, stop):
        c, block = part // blocks, part % blocks
        first, last = images(x, blocks, block)
        gradient_sums(dout, x, y, masked, c, first, last, mean[c], rstd[c], partial[block, :, c])


@kernel("x.shape[1] * blocks")
def _gradient_blocks(dout, x, mean, rstd, y, masked, slope, along, shift, dx, blocks, start, stop):
    for part in range(start, stop):
        c, block = part // blocks, part % blocks
        first, last = images(x, blocks, block)
        gradient(
            dout, x, y, masked, c, first, last, mean[c], rstd[c], slope[c], along[c], shift[c], dx
        )


@serial
def batchnorm_nchw_backward(dout, x, gamma, mean, rstd, y, dx, dgamma, dbeta, chunks, space):
    """Gradients of :func:`batchnorm_nchw` through the batch's own statistics."""
    n, c, s = x.shape
    if x.size == 0:
        return REFUSED
    blocks, masked = _blocks(x), not is_absent(y)
    by = y if masked else dout  # it is read in any case
    if blocks == 1:
        _backward_by_channels(dout, x, gamma, mean, rstd, by, masked, dx, dgamma, dbeta, chunks)
        return 0
    begin, wanted = claim(space, c * ((blocks + 1) * SUMS + 3 * x.itemsize))
    if wanted > 0:
        return wanted
    joined = begin + blocks * c * SUMS
    partial = cube(begin, blocks, 3, c, doubles(joined, 3, c))
    scales = matrix(joined + c * SUMS, 3, c, x)
    slope, along, shift = scales[0], scales[1], scales[2]
    _block_gradients(dout, x, mean, rstd, by, masked, partial, chunks)
    finish_gradient_blocks(
        partial, n * s, gamma, rstd, dgamma, dbeta, slope, along, shift, joined, 1
    )
    _gradient_blocks(dout, x, mean, rstd, by, masked, slope, along, shift, dx, blocks, chunks)
    return 0
