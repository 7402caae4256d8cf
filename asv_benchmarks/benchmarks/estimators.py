"""The classifier 64-100-10 with scikit-learn's interface: an epoch on 1,800 digits, predictions.

Without scikit-learn, as in the environments that asv builds, there are no results; `perf_check` has
them.
"""

import numpy as np

from .common import DTYPES, IMPLS, Timed, ready

SOLVERS = ["sgd", "adam"]
COUNTS = [1, 1800]  # samples to predict


def _trained(solver, dtype):
    from fastnn.sklearn import MLPClassifier  # younger than the oldest commits

    rng = np.random.default_rng(0)
    x, t = rng.random((1800, 64), dtype=dtype), rng.integers(10, size=1800)
    # So small a rate that thousands of steps leave the network as it was.
    model = MLPClassifier((100,), solver=solver, learning_rate_init=1e-7, dtype=dtype)
    return model.partial_fit(x, t, classes=range(10)), x, t


def epoch(solver, dtype):
    model, x, t = _trained(solver, dtype)
    return lambda: model.partial_fit(x, t)


def predict(count, dtype):
    model, x, _ = _trained("adam", dtype)
    return lambda: model.predict(x[:count])


class Estimators(Timed):
    number = 1
    params = [IMPLS, SOLVERS, DTYPES]
    param_names = ["impl", "solver", "dtype"]

    def time_epoch(self, impl, solver, dtype):
        ready(impl, epoch, solver, dtype)()


class Predictions(Timed):
    params = [IMPLS, COUNTS, DTYPES]
    param_names = ["impl", "count", "dtype"]

    def time_predict(self, impl, count, dtype):
        ready(impl, predict, count, dtype)()
