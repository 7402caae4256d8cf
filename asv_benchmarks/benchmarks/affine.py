"""Affine layers, fused with ReLU."""

from functools import partial

import numpy as np

from fastnn import ops

from .common import DTYPES, IMPLS, Timed, arrays, ready

# Samples, inputs, units: the first layer of the chapter's network, a large one, one sample, and
# sizes that are no multiple of a vector.
SHAPES = [(128, 784, 100), (256, 1024, 1024), (1, 784, 100), (37, 129, 67)]


def forward(shape, dtype):
    n, d, h = shape
    x, W, b = arrays(dtype, (n, d), (d, h), h)
    return partial(ops.affine_relu, x, W, b, out=np.empty((n, h), dtype))


def backward(shape, dtype):
    n, d, h = shape
    x, W, b, dout = arrays(dtype, (n, d), (d, h), h, (n, h))
    y = np.maximum(x @ W + b, 0)
    dx, dW, db = (np.empty_like(a) for a in (x, W, b))
    return partial(ops.affine_relu_backward, dout, x, W, y, dx=dx, dW=dW, db=db)


class AffineRelu(Timed):
    params = [IMPLS, SHAPES, DTYPES]
    param_names = ["impl", "shape", "dtype"]

    def time_forward(self, impl, shape, dtype):
        ready(impl, forward, shape, dtype)()

    def time_backward(self, impl, shape, dtype):
        ready(impl, backward, shape, dtype)()
