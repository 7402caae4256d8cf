"""Activations and dropout."""

from functools import partial

import numpy as np

from fastnn import ops

from .common import DTYPES, IMPLS, Timed, arrays, ready

ELEMENTWISE = ["leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "softplus"]
FUNCTIONS = ["relu", "sigmoid", "tanh", "softmax", "dropout", *ELEMENTWISE]
BACKWARD = ["relu", "sigmoid", "tanh", "dropout", *ELEMENTWISE]

# A hidden layer of the chapter's network, and a large one.
SHAPES = [(128, 100), (1024, 1024)]

RATIO = 0.5


def _form(function):
    """Return the name of a function, and which of its forms it is, if it has any."""
    name = function.removesuffix("_tanh")
    return (name,) if name == function else (name, "tanh")


def forward(function, shape, dtype):
    (x,) = arrays(dtype, shape)
    out = np.empty_like(x)
    if function == "dropout":
        return partial(ops.dropout, x, RATIO, seed=0, out=out, mask=np.empty(shape, bool))
    name, *form = _form(function)
    return partial(getattr(ops, name), x, *form, out=out)


def backward(function, shape, dtype):
    dout, y = arrays(dtype, shape, shape)
    dx = np.empty_like(dout)
    if function == "dropout":
        return partial(ops.dropout_backward, dout, y > 0, RATIO, dx=dx)
    name, *form = _form(function)
    return partial(getattr(ops, f"{name}_backward"), dout, np.tanh(y), *form, dx=dx)


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
