"""scikit-learn, for whole training only."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from fastnn._bench.case import Variant
from fastnn._bench.training.problem import Problem, in_epochs
from fastnn._bench.training.with_sklearn import Training

session: Callable[[], AbstractContextManager[Any]] = nullcontext


def training(problem: Problem) -> list[Variant]:
    """Return training by ``partial_fit``."""
    trained = Training(problem.spec, problem.spec.initial(), problem.x, problem.t)
    return [in_epochs("MLPClassifier.partial_fit", trained, problem)]
