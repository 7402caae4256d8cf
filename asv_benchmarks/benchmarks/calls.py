"""Calls on a few numbers, which take as long as their checks do."""

from functools import partial

import numpy as np

from fastnn import ops, optimizers

from .common import IMPLS, Timed, arrays, ready

FUNCTIONS = [
    "affine", "affine_backward", "batchnorm", "batchnorm_backward", "tanh", "tanh_backward",
    "softmax_cross_entropy", "adam",
]  # fmt: skip
SIDE = 4


def call(function):
    x, W, dout, dx = arrays("float32", *[(SIDE, SIDE)] * 4)
    b, db, mean = arrays("float32", *[SIDE] * 3)
    rstd, dW = np.ones_like(b), np.empty_like(W)
    if function == "adam":
        return partial(optimizers.Adam().update, {"W": W}, {"W": dout})
    calls = {
        "affine": partial(ops.affine, x, W, b, out=dx),
        "affine_backward": partial(ops.affine_backward, dout, x, W, dx=dx, dW=dW, db=db),
        "batchnorm": partial(ops.batchnorm, x, rstd, b, np.zeros_like(b), rstd.copy(), out=dx),
        "batchnorm_backward": partial(
            ops.batchnorm_backward, dout, x, b, mean, rstd, dx=dx, dgamma=db, dbeta=db.copy()
        ),
        "tanh": partial(ops.tanh, x, out=dx),
        "tanh_backward": partial(ops.tanh_backward, dout, x, dx=dx),
        "softmax_cross_entropy": partial(ops.softmax_cross_entropy, x, np.arange(SIDE), dx=dx),
    }
    return calls[function]


class Calls(Timed):
    number = 100  # of a few microseconds each
    params = [IMPLS, FUNCTIONS]
    param_names = ["impl", "function"]

    def time_call(self, impl, function):
        ready(impl, call, function)()
