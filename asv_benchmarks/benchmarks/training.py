"""A training step of the chapter's network, 784-100-100-100-100-10, layer by layer."""

import numpy as np

from fastnn import optimizers
from fastnn.networks import MultiLayerNetExtend

from .common import DTYPES, IMPLS, Timed, ready

OPTIMIZERS = ["SGD", "Adam"]
NORMALIZATIONS = ["none", "batchnorm"]
BATCH = 128


def step(optimizer, normalization, dtype):
    net = MultiLayerNetExtend(
        784, [100] * 4, 10, use_batchnorm=normalization == "batchnorm", dtype=dtype, seed=0
    )
    # So small a rate that thousands of steps on one batch leave the network as it was: one
    # that has learnt the batch has gradients near zero, and those take another time.
    update = getattr(optimizers, optimizer)(lr=1e-7).update
    rng = np.random.default_rng(0)
    x, t = rng.random((BATCH, 784), dtype=dtype), rng.integers(10, size=BATCH)
    return lambda: update(net.params, net.gradient(x, t))


class Training(Timed):
    params = [IMPLS, OPTIMIZERS, NORMALIZATIONS, DTYPES]
    param_names = ["impl", "optimizer", "normalization", "dtype"]

    def time_step(self, impl, optimizer, normalization, dtype):
        ready(impl, step, optimizer, normalization, dtype)()
