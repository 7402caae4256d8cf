"""Convolution of images, max pooling, and patches as rows."""

from functools import partial

import numpy as np

from fastnn import ops

from .common import DTYPES, IMPLS, Timed, arrays, ready

# Images (N, C, H, W), filters F of so many rows and columns, padding: the book's first layer, one
# that keeps the size of its images, and one of many channels of few pixels.
SHAPES = [
    ((100, 1, 28, 28), 30, 5, 0),
    ((100, 16, 14, 14), 32, 3, 1),
    ((32, 128, 7, 7), 128, 3, 1),
]
# Images, whose windows are 2 x 2, two apart.
POOLED = [(100, 30, 24, 24), (100, 16, 14, 14)]
# Images, whose patches are 3 x 3 with a padding of 1.
PATCHED = [(100, 16, 14, 14)]


def _inputs(shape, dtype):
    images, f, side, pad = shape
    x, W, b = arrays(dtype, images, (f, images[1], side, side), f)
    return x, W, b, np.empty_like(ops.convolution(x, W, b, 1, pad)), pad


def forward(shape, dtype):
    x, W, b, y, pad = _inputs(shape, dtype)
    return partial(ops.convolution, x, W, b, 1, pad, out=y)


def backward(shape, dtype):
    x, W, b, y, pad = _inputs(shape, dtype)
    (dout,) = arrays(dtype, y.shape)
    dx, dW, db = (np.empty_like(a) for a in (x, W, b))
    return partial(ops.convolution_backward, dout, x, W, 1, pad, dx=dx, dW=dW, db=db)


def pool(shape, dtype):
    (x,) = arrays(dtype, shape)
    y, argmax = ops.max_pool(x, 2, 2, 2)
    return partial(ops.max_pool, x, 2, 2, 2, out=y, argmax=argmax)


def pool_backward(shape, dtype):
    (x,) = arrays(dtype, shape)
    y, argmax = ops.max_pool(x, 2, 2, 2)
    return partial(ops.max_pool_backward, y, argmax, shape, 2, 2, 2, dx=np.empty_like(x))


def im2col(shape, dtype):
    (x,) = arrays(dtype, shape)
    return partial(ops.im2col, x, 3, 3, 1, 1, out=np.empty_like(ops.im2col(x, 3, 3, 1, 1)))


def col2im(shape, dtype):
    (x,) = arrays(dtype, shape)
    return partial(ops.col2im, ops.im2col(x, 3, 3, 1, 1), shape, 3, 3, 1, 1, out=np.empty_like(x))


class Convolution(Timed):
    params = [IMPLS, SHAPES, DTYPES]
    param_names = ["impl", "shape", "dtype"]

    def time_forward(self, impl, shape, dtype):
        ready(impl, forward, shape, dtype)()

    def time_backward(self, impl, shape, dtype):
        ready(impl, backward, shape, dtype)()


class MaxPool(Timed):
    params = [IMPLS, POOLED, DTYPES]
    param_names = ["impl", "shape", "dtype"]

    def time_forward(self, impl, shape, dtype):
        ready(impl, pool, shape, dtype)()

    def time_backward(self, impl, shape, dtype):
        ready(impl, pool_backward, shape, dtype)()


class Patches(Timed):
    params = [IMPLS, PATCHED, DTYPES]
    param_names = ["impl", "shape", "dtype"]

    def time_im2col(self, impl, shape, dtype):
        ready(impl, im2col, shape, dtype)()

    def time_col2im(self, impl, shape, dtype):
        ready(impl, col2im, shape, dtype)()
