"""Activations and dropout."""

from functools import partial

import numpy as np

from fastnn import ops

from .common import DTYPES, IMPLS, Timed, arrays, ready

FUNCTIONS = ["relu", "sigmoid", "tanh", "softmax", "dropout"]
BACKWARD = ["relu", "sigmoid", "tanh", "dropout"]

# A hidden layer of the chapter's network, and a large one.
SHAPES = [(128, 100), (1024, 1024)]

RATIO = 0.5


def forward(function, shape, dtype):
    (x,) = arrays(dtype, shape)
    out = np.empty_like(x)
    if function == "dropout":
        return partial(ops.dropout, x, RATIO, seed=0, out=out, mask=np.empty(shape, bool))
    return partial(getattr(ops, function), x, out=out)


def backward(function, shape, dtype):
    dout, y = arrays(dtype, shape, shape)
    dx = np.empty_like(dout)
    if function == "dropout":
        return partial(ops.dropout_backward, dout, y > 0, RATIO, dx=dx)
    return partial(getattr(ops, f"{function}_backward"), dout, np.tanh(y), dx=dx)


class Forward(Timed):
    params = [IMPLS, FUNCTIONS, SHAPES, DTYPES]
    param_names = ["impl", "function", "shape", "dtype"]

    def time_forward(self, impl, function, shape, dtype):
        ready(impl, forward, function, shape, dtype)()


class Backward(Timed):
    params = [IMPLS, BACKWARD, SHAPES, DTYPES]
    param_names = ["impl", "function", "shape", "dtype"]

    def time_backward(self, impl, function, shape, dtype):
        ready(impl, backward, function, shape, dtype)()
