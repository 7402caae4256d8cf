"""Parameter updates by the optimizers, one array at a time."""

from functools import partial

from fastnn import optimizers

from .common import DTYPES, IMPLS, Timed, arrays, ready

OPTIMIZERS = ["SGD", "Momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam"]
SIZES = [1_000, 100_000, 1_000_000]


def update(optimizer, size, dtype):
    p, g = arrays(dtype, size, size)
    return partial(getattr(optimizers, optimizer)().update, {"p": p}, {"p": g})


class Optimizers(Timed):
    params = [IMPLS, OPTIMIZERS, SIZES, DTYPES]
    param_names = ["impl", "optimizer", "size", "dtype"]

    def time_update(self, impl, optimizer, size, dtype):
        ready(impl, update, optimizer, size, dtype)()
