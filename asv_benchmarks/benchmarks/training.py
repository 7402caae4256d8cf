"""The network 784-100-100-100-100-10: a training step layer by layer, an epoch by `fit`.

And an epoch of 784-100-10 with each other loss, and with weights of samples.
"""

import numpy as np

from fastnn import optimizers
from fastnn.networks import MultiLayerNet, MultiLayerNetExtend

from .common import DTYPES, IMPLS, Timed, ready

OPTIMIZERS = ["SGD", "Adam"]
NORMALIZATIONS = ["none", "batchnorm"]
LOSSES = [
    "label smoothing", "sample weights", "binary cross entropy", "mean squared error", "poisson",
    "huber",
]  # fmt: skip
BATCH = 128
STEPS = 20  # in an epoch
EVERY = [20, 5]  # steps between two looks of a monitor


def _network(normalization, dtype):
    return MultiLayerNetExtend(
        784, [100] * 4, 10, use_batchnorm=normalization == "batchnorm", dtype=dtype, seed=0
    )


def _optimizer(name):
    # So small a rate that thousands of steps on the same samples leave the network as it was:
    # one that has learnt them has gradients near zero, and those take another time.
    return getattr(optimizers, name)(lr=1e-7)


def samples(n, dtype):
    rng = np.random.default_rng(0)
    return rng.random((n, 784), dtype=dtype), rng.integers(10, size=n)


def step(optimizer, normalization, dtype):
    net, update = _network(normalization, dtype), _optimizer(optimizer).update
    x, t = samples(BATCH, dtype)
    return lambda: update(net.params, net.gradient(x, t))


def epoch(optimizer, normalization, dtype):
    net, rule = _network(normalization, dtype), _optimizer(optimizer)
    x, t = samples(STEPS * BATCH, dtype)
    return lambda: net.fit(x, t, 1, BATCH, rule, verbose=False, seed=0)


def watched(every, dtype):
    from fastnn.diagnostics import Monitor  # younger than the oldest commits

    net, rule = _network("none", dtype), _optimizer("SGD")
    x, t = samples(STEPS * BATCH, dtype)
    monitor = Monitor(x[:300], t[:300], every)
    return lambda: net.fit(x, t, 1, BATCH, rule, callbacks=[monitor], verbose=False, seed=0)


def with_loss(name, dtype):
    (x, t), settings = samples(STEPS * BATCH, dtype), {}
    of_labels = name in ("label smoothing", "sample weights")
    loss = "cross_entropy" if of_labels else name.replace(" ", "_")
    net = MultiLayerNet(784, [100], 10, loss=loss, dtype=dtype, seed=0)
    if name == "label smoothing":
        from fastnn.layers import SoftmaxWithLoss  # younger than the oldest commits

        net.last_layer = SoftmaxWithLoss(label_smoothing=0.1)
    elif name == "sample weights":
        settings["sample_weight"] = 1 + x[:, 0]
    if not of_labels:
        t = np.eye(10, dtype=dtype)[t]
    rule = _optimizer("SGD")
    return lambda: net.fit(x, t, 1, BATCH, rule, verbose=False, seed=0, **settings)


class Training(Timed):
    params = [IMPLS, OPTIMIZERS, NORMALIZATIONS, DTYPES]
    param_names = ["impl", "optimizer", "normalization", "dtype"]

    def time_step(self, impl, optimizer, normalization, dtype):
        ready(impl, step, optimizer, normalization, dtype)()


class Fit(Timed):
    number = 1  # an epoch is long enough

    params = Training.params
    param_names = Training.param_names

    def time_epoch(self, impl, optimizer, normalization, dtype):
        ready(impl, epoch, optimizer, normalization, dtype)()


class Losses(Timed):
    number = 1
    params = [IMPLS, LOSSES, DTYPES]
    param_names = ["impl", "loss", "dtype"]

    def time_epoch(self, impl, loss, dtype):
        ready(impl, with_loss, loss, dtype)()


class Watched(Timed):
    """An epoch with a monitor on 300 samples: at its start, after a step, and each so many."""

    number = 1
    params = [IMPLS, EVERY, DTYPES]
    param_names = ["impl", "every", "dtype"]

    def time_epoch(self, impl, every, dtype):
        ready(impl, watched, every, dtype)()
