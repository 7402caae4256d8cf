"""Parameters of the estimators, checked when they are fitted, with scikit-learn's messages."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np


class InvalidParameterError(ValueError, TypeError):
    """A parameter is of another type, or out of its range; scikit-learn's is both, too."""


class Constraint(NamedTuple):
    """What a parameter must be: a test, and the words for it."""

    holds: Callable[[Any], bool]
    text: str


def interval(kind: type, low: float, high: float = math.inf, closed: str = "left") -> Constraint:
    """Return the constraint to numbers of a kind between two bounds."""
    left, right = closed in ("left", "both"), closed in ("right", "both")

    def holds(value: Any) -> bool:
        if not isinstance(value, kind) or isinstance(value, (bool, np.bool_)):
            return False
        number: Any = value
        above = number >= low if left else number > low
        return bool(above and (number <= high if right else number < high))

    name, bounds = "a float", (float(low), float(high))
    if kind is Integral:
        name, bounds = "an int", (low, high)
    brackets = "[" if left else "(", "]" if right else ")"
    return Constraint(
        holds, f"{name} in the range {brackets[0]}{bounds[0]}, {bounds[1]}{brackets[1]}"
    )


def among(*choices: str) -> Constraint:
    """Return the constraint to some strings."""
    listed = ", ".join(map(repr, sorted(choices)))
    return Constraint(
        lambda value: isinstance(value, str) and value in choices, f"a str among {{{listed}}}"
    )


def either(*constraints: Constraint) -> Constraint:
    """Return the constraint that one of several holds."""
    *first, last = [constraint.text for constraint in constraints]
    return Constraint(
        lambda value: any(constraint.holds(value) for constraint in constraints),
        f"{', '.join(first)} or {last}",
    )


_BOOLS = (
    Constraint(lambda value: isinstance(value, bool), "an instance of 'bool'"),
    Constraint(
        lambda value: isinstance(value, np.bool_), f"an instance of 'numpy.{np.bool_.__name__}'"
    ),
)
BOOLEAN = either(*_BOOLS)
NONE = Constraint(lambda value: value is None, "None")
ARRAY_LIKE = Constraint(
    lambda value: not isinstance(value, (str, bytes)) and np.ndim(value) > 0, "an array-like"
)
_DTYPE = Constraint(
    lambda value: value in ("float32", "float64", np.float32, np.float64), "float32, float64"
)

COMMON: dict[str, Constraint] = {
    "hidden_layer_sizes": either(ARRAY_LIKE, interval(Integral, 1)),
    "activation": among("identity", "logistic", "tanh", "relu"),
    "solver": among("lbfgs", "sgd", "adam"),
    "alpha": interval(Real, 0),
    "batch_size": either(among("auto"), interval(Integral, 1)),
    "learning_rate": among("constant", "invscaling", "adaptive"),
    "learning_rate_init": interval(Real, 0, closed="neither"),
    "power_t": interval(Real, 0),
    "max_iter": interval(Integral, 1),
    "shuffle": BOOLEAN,
    "random_state": either(
        interval(Integral, 0, 2**32 - 1, "both"),
        Constraint(
            lambda value: isinstance(value, np.random.RandomState),
            "an instance of 'numpy.random.mtrand.RandomState'",
        ),
        NONE,
    ),
    "tol": interval(Real, 0),
    "verbose": either(interval(Integral, 0), *_BOOLS),
    "warm_start": BOOLEAN,
    "momentum": interval(Real, 0, 1, "both"),
    "nesterovs_momentum": BOOLEAN,
    "early_stopping": BOOLEAN,
    "validation_fraction": interval(Real, 0, 1),
    "beta_1": interval(Real, 0, 1),
    "beta_2": interval(Real, 0, 1),
    "epsilon": interval(Real, 0, closed="neither"),
    "n_iter_no_change": either(
        interval(Integral, 1),
        Constraint(
            lambda value: isinstance(value, Real) and value == math.inf, "a float among {inf}"
        ),
    ),
    "max_fun": interval(Integral, 1),
    "dropout": interval(Real, 0, 1),
    "batch_norm": BOOLEAN,
    "clip_norm": either(interval(Real, 0, closed="neither"), NONE),
    "ema": either(interval(Real, 0, 1), NONE),
    "dtype": either(_DTYPE, NONE),
    "n_threads": either(interval(Integral, 1), NONE),
}


def expect_valid(estimator: Any, constraints: Mapping[str, Constraint]) -> None:
    """Raise InvalidParameterError for the first parameter that is not what it must be.

    Parameters
    ----------
    estimator : estimator
    constraints : mapping of str to Constraint
        Of parameters by name; others are checked by what they are given to.
    """
    for name, constraint in constraints.items():
        value = getattr(estimator, name)
        if not constraint.holds(value):
            raise InvalidParameterError(
                f"The {name!r} parameter of {type(estimator).__name__} must be "
                f"{constraint.text}. Got {value!r} instead."
            )
