"""Parameter updates by the optimizers: one array, and all arrays of a network."""

from functools import partial

from fastnn import MultiLayerNet, optimizers

from .common import DTYPES, IMPLS, Timed, arrays, ready

OPTIMIZERS = [
    "SGD", "Momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam", "NAdam", "Adamax", "AMSGrad",
    "Lion",
]  # fmt: skip
SIZES = [1_000, 1_000_000]


def update(optimizer, size, dtype):
    p, g = arrays(dtype, size, size)
    return partial(getattr(optimizers, optimizer)().update, {"p": p}, {"p": g})


def update_network(optimizer, dtype):
    shapes = {key: p.shape for key, p in MultiLayerNet(784, [100] * 4, 10, seed=0).params.items()}
    params, grads = (
        dict(zip(shapes, arrays(dtype, *shapes.values()), strict=True)) for _ in range(2)
    )
    return partial(getattr(optimizers, optimizer)().update, params, grads)


class Optimizers(Timed):
    params = [IMPLS, OPTIMIZERS, SIZES, DTYPES]
    param_names = ["impl", "optimizer", "size", "dtype"]

    def time_update(self, impl, optimizer, size, dtype):
        ready(impl, update, optimizer, size, dtype)()


class OptimizersOnNetwork(Timed):
    params = [IMPLS, OPTIMIZERS, DTYPES]
    param_names = ["impl", "optimizer", "dtype"]

    def time_update(self, impl, optimizer, dtype):
        ready(impl, update_network, optimizer, dtype)()
