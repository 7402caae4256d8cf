"""The factors of a schedule on the learning rate, checked."""

from __future__ import annotations

import numpy as np

from fastnn._utils.types import Float64s
from fastnn._utils.warnings import warn
from fastnn.training.schedules import Schedule

_OF_ONE_STEP = "np.vectorize(function, otypes=[float]) makes one of a function of a single step"
_LOOKS = 1000  # at a schedule
# A factor that, times a rate that a network learns with, moves no digit of a float32.
_REST = float(np.finfo(np.float32).eps)


def warn_of_rest(schedule: Schedule, begin: int, end: int) -> None:
    """Warn if one of our schedules leaves the network at rest in most of the steps to come."""
    steps = np.unique(np.linspace(begin, end - 1, _LOOKS).astype(np.int64))
    rest = np.flatnonzero(np.asarray(schedule(steps)) <= _REST) if begin < end else steps[:0]
    if 2 * rest.size > steps.size:
        warn(
            "schedule: expected factors that let the network learn, got 0, or as good as 0, from "
            f"about step {steps[rest[0]]} of {end} on; lengths are steps unless given as epochs=",
            RuntimeWarning,
        )


def factors_of(schedule: Schedule | None, first: int, end: int) -> Float64s:
    """Return the factors of the steps in [first, end), checked."""
    if schedule is None:
        return np.ones(end - first)
    try:
        factors = np.asarray(schedule(np.arange(first, end, dtype=np.int64)))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"schedule: expected a function of an array of step numbers, got an error for one: "
            f"{error}; {_OF_ONE_STEP}"
        ) from error
    if factors.dtype.kind not in "fiu" or factors.shape != (end - first,):
        hint = f"; {_OF_ONE_STEP}" if factors.ndim == 0 else ""
        raise ValueError(
            f"schedule: expected a number for each of {end - first} steps, "
            f"got {factors.dtype} of shape {factors.shape}{hint}"
        )
    factors = factors.astype(np.float64)
    wrong = np.flatnonzero(~((factors >= 0) & (factors < np.inf)))
    if wrong.size:
        raise ValueError(
            f"schedule: expected numbers of at least 0, got {factors[wrong[0]]} "
            f"for step {first + int(wrong[0])}"
        )
    return factors
