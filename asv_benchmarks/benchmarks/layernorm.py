"""Layer normalisation of rows (N, D)."""

from functools import partial

import numpy as np

from fastnn import ops

from .common import DTYPES, IMPLS, Timed, arrays, ready

# A hidden layer of the chapter's network, and rows that no cache holds.
SHAPES = [(128, 100), (2048, 1024)]


def forward(shape, dtype):
    x, gamma, beta = arrays(dtype, shape, shape[1], shape[1])
    return partial(ops.layernorm, x, gamma, beta, out=np.empty_like(x))


def backward(shape, dtype):
    x, dout, gamma = arrays(dtype, shape, shape, shape[1])
    dx, dgamma, dbeta = (np.empty_like(a) for a in (x, gamma, gamma))
    _, mean, rstd = ops.layernorm(x, gamma, gamma)
    return partial(
        ops.layernorm_backward, dout, x, gamma, mean, rstd, dx=dx, dgamma=dgamma, dbeta=dbeta
    )


class LayerNorm(Timed):
    params = [IMPLS, SHAPES, DTYPES]
    param_names = ["impl", "shape", "dtype"]

    def time_forward(self, impl, shape, dtype):
        ready(impl, forward, shape, dtype)()

    def time_backward(self, impl, shape, dtype):
        ready(impl, backward, shape, dtype)()
