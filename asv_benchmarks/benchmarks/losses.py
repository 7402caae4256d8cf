"""Losses, each with its gradient."""

from functools import partial

import numpy as np

from fastnn import ops

from .common import DTYPES, IMPLS, Timed, arrays, ready

LOSSES = {
    "cross entropy, labels": "softmax_cross_entropy",
    "cross entropy, one-hot": "softmax_cross_entropy",
    "mean squared error": "mean_squared_error",
    "binary cross entropy": "binary_cross_entropy",
    "poisson": "poisson",
    "huber": "huber",
}

# Samples and classes: digits, and a thousand kinds of images.
SHAPES = [(128, 10), (256, 1000)]


def loss(name, shape, dtype):
    (x,) = arrays(dtype, shape)
    t = np.random.default_rng(1).integers(shape[1], size=shape[0])
    if name != "cross entropy, labels":
        t = np.eye(shape[1], dtype=dtype)[t]
    return partial(getattr(ops, LOSSES[name]), x, t, dx=np.empty_like(x))


class Losses(Timed):
    params = [IMPLS, [*LOSSES], SHAPES, DTYPES]
    param_names = ["impl", "loss", "shape", "dtype"]

    def time_loss(self, impl, name, shape, dtype):
        ready(impl, loss, name, shape, dtype)()
