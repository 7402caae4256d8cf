"""Orders of samples: shuffles, and draws with replacement."""

from functools import partial

import numpy as np

from fastnn import ops

from .common import IMPLS, Timed, ready

METHODS = ["permutation", "choices"]

SIZES = [60_000]  # samples: those of MNIST


def order(method, n):
    out = np.empty(n, np.int64)
    if method == "permutation":
        return partial(ops.permutation, n, 1, 2, out)
    return partial(ops.choices, n, n, 1, 2, out)


class Orders(Timed):
    params = [IMPLS, METHODS, SIZES]
    param_names = ["impl", "method", "samples"]

    def time_order(self, impl, method, n):
        ready(impl, order, method, n)()
