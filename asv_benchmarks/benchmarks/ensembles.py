"""Five networks 784-100-100-10: their mean prediction, and an epoch of a student of theirs."""

import numpy as np

from fastnn import MultiLayerNet, optimizers

from .common import DTYPES, IMPLS, Timed, ready

BATCH = 128
STEPS = 20  # in an epoch
TEMPERATURES = [1, 4]


def _network(seed, dtype):
    return MultiLayerNet(784, [100, 100], 10, dtype=dtype, seed=seed)


def _ensemble(dtype):
    from fastnn.ensembles import Ensemble  # younger than the oldest commits

    return Ensemble(_network(seed, dtype) for seed in range(5))


def _samples(dtype):
    return np.random.default_rng(0).random((STEPS * BATCH, 784), dtype=dtype)


def predict(dtype):
    ensemble, x = _ensemble(dtype), _samples(dtype)
    return lambda: ensemble.predict(x)


def distilled(temperature, dtype):
    from fastnn.ensembles import distill

    student, teacher, x = _network(5, dtype), _ensemble(dtype), _samples(dtype)
    # So small a rate that thousands of steps leave the student as it was.
    return lambda: distill(
        student, teacher, x, temperature=temperature, batch_size=BATCH,
        optimizer=optimizers.SGD(lr=1e-7), verbose=False, seed=0,
    )  # fmt: skip


class Predict(Timed):
    number = 1

    params = [IMPLS, DTYPES]
    param_names = ["impl", "dtype"]

    def time_ensemble(self, impl, dtype):
        ready(impl, predict, dtype)()


class Distill(Timed):
    number = 1

    params = [IMPLS, TEMPERATURES, DTYPES]
    param_names = ["impl", "temperature", "dtype"]

    def time_epoch(self, impl, temperature, dtype):
        ready(impl, distilled, temperature, dtype)()
