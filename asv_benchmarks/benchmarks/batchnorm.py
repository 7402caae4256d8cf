"""Batch normalisation of rows (N, D) and of images (N, C, H, W)."""

from functools import partial

import numpy as np

from fastnn import ops

from .common import DTYPES, IMPLS, Timed, arrays, ready

# A hidden layer of the chapter's network, and images that no cache holds.
SHAPES = [(128, 100), (64, 32, 28, 28)]


def _input(shape, dtype):
    """Return x, gamma, beta, and the mean and variance of x."""
    x, gamma, beta = arrays(dtype, shape, shape[1], shape[1])
    axes = (0, *range(2, len(shape)))
    return x, gamma, beta, x.mean(axes), x.var(axes)


def forward(shape, dtype):
    x, gamma, beta, mean, var = _input(shape, dtype)
    return partial(ops.batchnorm, x, gamma, beta, mean, var, out=np.empty_like(x))


def inference(shape, dtype):
    x, gamma, beta, mean, var = _input(shape, dtype)
    return partial(ops.batchnorm_inference, x, gamma, beta, mean, var, out=np.empty_like(x))


def backward(shape, dtype):
    x, gamma, beta, mean, var = _input(shape, dtype)
    (dout,) = arrays(dtype, shape)
    dx, dgamma, dbeta = (np.empty_like(a) for a in (x, gamma, beta))
    return partial(
        ops.batchnorm_backward, dout, x, gamma, mean, 1 / np.sqrt(var + var.dtype.type(1e-6)),
        dx=dx, dgamma=dgamma, dbeta=dbeta,
    )  # fmt: skip


def relu_forward(shape, dtype):
    x, gamma, beta, mean, var = _input(shape, dtype)
    return partial(ops.batchnorm_relu, x, gamma, beta, mean, var, out=np.empty_like(x))


def relu_backward(shape, dtype):
    x, gamma, beta, mean, var = _input(shape, dtype)
    (dout,) = arrays(dtype, shape)
    y, mean, rstd = ops.batchnorm_relu(x, gamma, beta, mean, var)
    dx, dgamma, dbeta = (np.empty_like(a) for a in (x, gamma, beta))
    return partial(
        ops.batchnorm_relu_backward, dout, x, gamma, mean, rstd, y,
        dx=dx, dgamma=dgamma, dbeta=dbeta,
    )  # fmt: skip


class BatchNorm(Timed):
    params = [IMPLS, SHAPES, DTYPES]
    param_names = ["impl", "shape", "dtype"]

    def time_forward(self, impl, shape, dtype):
        ready(impl, forward, shape, dtype)()

    def time_inference(self, impl, shape, dtype):
        ready(impl, inference, shape, dtype)()

    def time_backward(self, impl, shape, dtype):
        ready(impl, backward, shape, dtype)()

    def time_relu_forward(self, impl, shape, dtype):
        ready(impl, relu_forward, shape, dtype)()

    def time_relu_backward(self, impl, shape, dtype):
        ready(impl, relu_backward, shape, dtype)()
