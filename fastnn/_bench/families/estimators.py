"""The estimators of :mod:`fastnn.sklearn` beside scikit-learn's, with the same settings."""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from fastnn._bench.case import Arrays, Case, WrongResultError
from fastnn._bench.layout import Result, number
from fastnn._bench.limits import arithmetic
from fastnn._bench.measure import Libraries, identity, without_collector
from fastnn._bench.settings import Settings
from fastnn._bench.timing import ROUNDS, take_turns
from fastnn._bench.training.spec import NotMeasuredError
from fastnn._utils.distribution import install_command
from fastnn.datasets import load_mnist

TITLE = "MLPClassifier and MLPRegressor beside scikit-learn's, ms"
NOTES = (
    "samples of the same dtype, all parameters at their defaults but max_iter, the same epochs;",
    "a search: 8 settings x 5 folds, in two threads, scikit-learn's in two processes, with one",
    "thread for each fit of fastnn, also with n_jobs=1;",
    "minima; in brackets the time over that of fastnn, median over rounds; FMA allows: the time of",
    "scikit-learn over what the matrix products alone take at the limit of the units",
)
ALONE, THEIRS, FMA = "fastnn, n_jobs=1", "scikit-learn", "FMA"

# How much faster it is to be, by operation and data.
LIMITS = {
    ("fit", "iris"): 2.0,
    ("fit", "digits"): 3.0,
    ("fit", "mnist"): 4.0,
    ("fit", "diabetes"): 1.0,
    ("predict", "iris"): 2.0,
    ("predict", "digits"): 2.0,
    ("predict", "mnist"): 2.0,
    ("predict", "diabetes"): 2.0,
    ("search", "digits"): 5.0,
}
EPOCHS = {"iris": 200, "digits": 20, "mnist": 5, "diabetes": 100}
SEARCHED_EPOCHS = 50  # of each of the 40 fits; the default is 200 at most
SEARCHES = 2  # rounds: one takes scikit-learn ten seconds
SEARCHED = 1.8  # a search with n_jobs=2 over one with n_jobs=1
# Losses of the last epoch, relative: float32 is rounded 1e9 times as coarsely.
AGREEMENT = {"float64": 1e-9, "float32": 1e-2}

Data = tuple[Any, Any]


def _nothing() -> Arrays:
    return []


def data(name: str, dtype: str) -> Data:
    """Return samples of a dtype and targets."""
    from sklearn import datasets

    if name == "mnist":
        (x, t), _ = load_mnist(normalize=True, subset="bundled")
        return x.astype(dtype), t
    x, t = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "diabetes":
        t = (t - t.mean()) / t.std()
    return (x / np.abs(x).max()).astype(dtype), t


def estimators(name: str, dtype: str, epochs: int) -> dict[str, Any]:
    """Return an estimator of each library, not fitted."""
    from sklearn import neural_network

    from fastnn import sklearn as ours

    kind = "MLPRegressor" if name == "diabetes" else "MLPClassifier"
    settings: dict[str, Any] = {
        "max_iter": epochs, "n_iter_no_change": math.inf, "random_state": 0
    }  # fmt: skip
    return {
        "fastnn": getattr(ours, kind)(**settings, dtype=dtype),
        THEIRS: getattr(neural_network, kind)(**settings),
    }


def cases(dtype: str) -> Iterator[Case]:
    """Yield a case for each operation and data set."""
    for operation, name in LIMITS:
        yield Case(
            name, operation, name, tuple, _nothing, quick=name == "digits" and operation != "search"
        )


def measure(family: str, case: Case, libraries: Libraries, settings: Settings) -> dict[str, Any]:
    """Fit, predict or search in turns."""
    if importlib.util.find_spec("sklearn") is None:
        raise NotMeasuredError(f"needs scikit-learn: {install_command('sklearn')}")
    operation, name, dtype = case.label, case.operation, settings.dtype
    share = 0.0  # of the work of the matrix products in that of a call of FMA
    if operation == "search" and settings.threads == 1:
        raise NotMeasuredError("needs two threads or more")
    x, t = data(name, dtype)
    with warnings.catch_warnings(), without_collector():
        warnings.simplefilter("ignore")  # that it has not converged
        calls = _searches(name, x, t, dtype) if operation == "search" else {}
        if not calls:
            found = estimators(name, dtype, EPOCHS[name])
            for estimator in found.values():
                estimator.fit(x, t)
            _expect_agreement(found, dtype)
            for library, estimator in found.items():
                given = (x, t) if operation == "fit" else (x,)
                calls[library] = partial(getattr(estimator, operation), *given)
            fma = arithmetic(dtype, settings.threads)
            calls[FMA] = fma.variants[0].run
            share = _operations(found["fastnn"], operation, len(x)) / fma.work
        for call in calls.values():
            call()
        rounds = SEARCHES if operation == "search" else ROUNDS[0]
        seconds = 1 if settings.quick else 5
        times = take_turns(calls, seconds, sample=5e-3, settle=0.3, rounds=rounds)
    ratio, limit = times.ratio(THEIRS, "fastnn"), LIMITS[operation, name]
    holds, others = ratio >= limit, [key for key in calls if key not in ("fastnn", FMA)]
    ratios = {key: times.ratio(key, "fastnn") for key in others}
    if ALONE in ratios:
        holds = holds and ratios[ALONE] >= SEARCHED
    return {
        **identity(family, case, settings),
        "shape": f"{name}, {len(x):,} x {x.shape[1]}",
        "seconds": {
            key: {"minimum": times.minimum(key), "median": times.median(key)}
            for key in ("fastnn", *others)
        },
        "allowed": times.minimum(THEIRS) / times.minimum(FMA) / share if share else None,
        "ratios": ratios,
        "limit": limit,
        "holds": bool(holds),
    }


def _expect_agreement(found: dict[str, Any], dtype: str) -> None:
    """Raise WrongResultError unless the last losses agree."""
    got, expected = (found[key].loss_curve_[-1] for key in ("fastnn", THEIRS))
    if not abs(got - expected) <= AGREEMENT[dtype] * abs(expected):
        raise WrongResultError(f"expected a last loss of {expected}, got {got}")


def _operations(estimator: Any, operation: str, n: int) -> float:
    """Return the operations of the matrix products, of an estimator that was fitted."""
    sizes: list[int] = [W.size for W in estimator.coefs_]
    if operation == "predict":
        return 2.0 * n * sum(sizes)
    # Forward, the gradients of weights, and those of inputs but of the first layer.
    return 2.0 * n * int(estimator.n_iter_) * (3 * sum(sizes) - sizes[0])


def _searches(name: str, x: Any, t: Any, dtype: str) -> dict[str, Callable[[], object]]:
    """Return searches over eight settings: fastnn's in threads, scikit-learn's in processes."""
    import joblib
    from sklearn.model_selection import GridSearchCV

    grid = {"alpha": [1e-5, 1e-4, 1e-3, 1e-2], "learning_rate_init": [1e-3, 1e-2]}
    found = estimators(name, dtype, SEARCHED_EPOCHS)
    found["fastnn"].set_params(n_threads=1)

    def search(library: str, backend: str, jobs: int) -> object:
        with joblib.parallel_backend(backend, n_jobs=jobs):
            return GridSearchCV(found[library], grid, cv=5).fit(x, t)

    return {
        "fastnn": partial(search, "fastnn", "threading", 2),
        ALONE: partial(search, "fastnn", "threading", 1),
        THEIRS: partial(search, THEIRS, "loky", 2),
    }


def table(results: Sequence[Result]) -> list[list[str]]:
    """Return the rows of the table, its head first, how many hold last."""
    rows = [["", "data", "fastnn", THEIRS, "at least", "FMA allows", ALONE, "at least", ""]]
    for result in results:
        seconds = {key: number(value["minimum"] * 1e3) for key, value in result["seconds"].items()}
        cells = [seconds["fastnn"]]
        for key, limit in ((THEIRS, result["limit"]), (ALONE, SEARCHED)):
            if key in seconds:
                cells += [f"{seconds[key]} ({result['ratios'][key]:.2f}x)", f"{limit:.1f}x"]
            else:
                cells += ["", ""]
            if key == THEIRS:
                cells.append(f"{result['allowed']:.1f}x" if result["allowed"] else "")
        rows.append(
            [result["case"], result["shape"], *cells, "holds" if result["holds"] else "missed"]
        )
    held = sum(result["holds"] for result in results)
    return [*rows, [f"{held} of {len(results)} hold", *[""] * 8]]
