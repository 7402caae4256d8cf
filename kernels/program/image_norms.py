"""The steps of a training program for batch normalisation of images, with statistics per channel.

Sums are taken for each unit of a batch and then put together, by one thread, as in
:mod:`fastnn.kernels.program.norms`.
"""

import numba
import numpy as np

from fastnn.kernels.codegen.compile import inlined, serial
from fastnn.kernels.codegen.memory import cube, matrix, pointer, vector
from fastnn.kernels.layers import batchnorm_planes as planes
from fastnn.kernels.layers.moments import (
    finish,
    finish_gradients,
    join_gradients,
    join_moments,
)
from fastnn.kernels.program.making import step_of
from fastnn.kernels.program.places import place
from fastnn.kernels.program.tables import UNIT


@inlined
def _images(p, s, address, local, first, count, worker, like):
    """Return some images, pixels flattened."""
    begin = place(address, local, first, worker * p.block, s.d * like.itemsize)
    return cube(begin, count, s.d // s.pixels, s.pixels, like)


@inlined
def _partial(p, s):
    """Return the sums of units, and behind them those of all."""
    units = (p.n + UNIT - 1) // UNIT
    return numba.carray(pointer(s.partial), (units + 1, 3, s.d // s.pixels), np.float64)


@inlined
def _channels(s, address, like):
    """Return a number for each channel."""
    return vector(address, s.d // s.pixels, like)


@serial
def moments(p, s, first, count, worker, like):
    """Leave sums for mean and variance of each unit."""
    x = _images(p, s, s.source, s.source_local, first, count, worker, like)
    partial = _partial(p, s)
    for low in range(0, count, UNIT):
        some, sums = x[low : min(count, low + UNIT)], partial[(first + low) // UNIT]
        for c in range(x.shape[1]):
            planes.moments(some, c, 0, some.shape[0], sums[:, c])


@serial
def normalise(p, s, first, count, worker, like):
    """Normalise some images by mean and deviation."""
    x = _images(p, s, s.source, s.source_local, first, count, worker, like)
    target = _images(p, s, s.target, s.target_local, first, count, worker, like)
    scales, mean = matrix(s.scales, 3, x.shape[1], like), _channels(s, s.mean, like)
    low = like.dtype.type(s.low)
    for c in range(x.shape[1]):
        planes.normalise(x, c, 0, count, mean[c], scales[0, c], scales[1, c], low, target)


@serial
def sums(p, s, first, count, worker, like):
    """Leave sums for the gradients of gamma and beta of each unit."""
    d = _images(p, s, s.target, s.target_local, first, count, worker, like)
    x = _images(p, s, s.other, s.other_local, first, count, worker, like)
    y = _images(p, s, s.output, s.output_local, first, count, worker, like)
    mean, rstd = _channels(s, s.mean, like), _channels(s, s.rstd, like)
    partial, masked = _partial(p, s), s.output != 0
    for low in range(0, count, UNIT):
        last, own = min(count, low + UNIT), partial[(first + low) // UNIT]
        for c in range(x.shape[1]):
            planes.gradient_sums(d, x, y, masked, c, low, last, mean[c], rstd[c], own[:, c])


@serial
def gradient(p, s, first, count, worker, like):
    """Write the gradient with respect to some images, from the sums over all of them."""
    d = _images(p, s, s.target, s.target_local, first, count, worker, like)
    x = _images(p, s, s.other, s.other_local, first, count, worker, like)
    masked = s.output != 0
    y = d  # it is read in any case
    if masked:
        y = _images(p, s, s.output, s.output_local, first, count, worker, like)
    mean, rstd = _channels(s, s.mean, like), _channels(s, s.rstd, like)
    scales = matrix(s.scales, 3, x.shape[1], like)
    for c in range(x.shape[1]):
        planes.gradient(
            d, x, y, masked, c, 0, count, mean[c], rstd[c], scales[0, c], scales[1, c],
            scales[2, c], d,
        )  # fmt: skip


@serial
def finish_moments(p, s, first, count, worker, like):
    """Put together mean and deviation, and move the running statistics."""
    partial, scales = _partial(p, s), matrix(s.scales, 3, s.d // s.pixels, like)
    # All but the last unit have as many pixels.
    join_moments(partial[:-1], 0, UNIT * s.pixels, p.n * s.pixels, partial[-1])
    finish(
        p.n * s.pixels, partial[-1], _channels(s, s.gamma, like), _channels(s, s.beta, like),
        _channels(s, s.running_mean, like), _channels(s, s.running_var, like), s.momentum, s.eps,
        _channels(s, s.mean, like), _channels(s, s.rstd, like), scales[0], scales[1],
    )  # fmt: skip


@serial
def finish_sums(p, s, first, count, worker, like):
    """Put together the gradients of gamma and beta."""
    partial, scales = _partial(p, s), matrix(s.scales, 3, s.d // s.pixels, like)
    join_gradients(partial[:-1], 0, partial[-1])
    finish_gradients(
        p.n * s.pixels, partial[-1], _channels(s, s.gamma, like), _channels(s, s.rstd, like),
        _channels(s, s.dgamma, like), _channels(s, s.dbeta, like), scales[0], scales[1], scales[2],
    )  # fmt: skip


PARTS = {
    "step_of_image_moments": step_of(moments),
    "step_of_image_normalise": step_of(normalise),
    "step_of_image_sums": step_of(sums),
    "step_of_image_norm_gradient": step_of(gradient),
    "step_of_finish_image_moments": step_of(finish_moments),
    "step_of_finish_image_sums": step_of(finish_sums),
}
