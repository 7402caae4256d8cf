"""Layers whose parameters are made when their input is known: by :meth:`build`.

Shapes are those of one sample, without the axis of the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, SupportsFloat

import numpy as np

from fastnn import initializers
from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.layers.record import nearest_record

Shape = tuple[int, ...]
Init = str | SupportsFloat | Callable[..., Any]

RULES: dict[str, Callable[..., Array]] = {
    "he": initializers.he,
    "xavier": initializers.xavier,
    "glorot_normal": initializers.glorot_normal,
    "glorot_uniform": initializers.glorot_uniform,
}

_EXPECTED = (
    f"one of {', '.join(RULES)}, a standard deviation, or a function such as those of "
    "fastnn.initializers"
)


def is_size(value: Any) -> bool:
    """Say whether an argument is a size rather than an array."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def expect_arrays(first: str, array: Any, second: str, other: Any, init: Any = None) -> None:
    """Raise TypeError unless both parameters of a layer are there, which need no `init`."""
    for name, value, beside in ((first, array, second), (second, other, first)):
        if value is None or is_size(value):
            raise TypeError(f"{name}: expected an array beside {beside}, got {value!r}")
    if init is not None:
        raise TypeError(f"init: expected None, as {first} has its values, got {init!r}")


def initial_rule(init: Init | None) -> Init | None:
    """Return the rule of initial values, checked."""
    if init is None or (callable(init) and not isinstance(init, type)):
        return init
    if isinstance(init, str):
        if init.lower() in RULES:
            return init.lower()
        raise ValueError(f"init: expected {_EXPECTED}, got {init!r}")
    if not isinstance(init, (int, float, np.number)):
        raise TypeError(f"init: expected {_EXPECTED}, got {numbers.brief(init)}")
    return numbers.not_negative("init", init)


def initial_weights(init: Init, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
    """Return new weights by a rule's name, with a standard deviation, or from a function."""
    if isinstance(init, str):
        return RULES[init](shape, rng=rng, dtype=dtype)
    if not callable(init):
        return initializers.normal(shape, init, rng=rng, dtype=dtype)
    W = np.array(init(shape, rng=rng, dtype=dtype), dtype)
    if W.shape != shape:
        raise ValueError(f"init: expected a function that returns shape {shape}, got {W.shape}")
    return W


def without_sizes(layer: Any, method: str) -> RuntimeError:
    """Return the error of a layer that is used before it is built."""
    return RuntimeError(
        f"{type(layer).__name__}.{method}: expected a layer whose sizes are known, got one that "
        "has not been built: put it into a Network, or call build(shape) with the shape of a sample"
    )


def is_built(layer: Any) -> bool:
    """Say whether a layer has all arrays that it is to have.

    One of the user's own has a method `build`, and no `params` before that is called.
    """
    record = nearest_record(layer)
    if record is not None:
        return all(getattr(layer, name) is not None for name in record.parameters)
    return getattr(layer, "params", None) is not None or not callable(getattr(layer, "build", None))
