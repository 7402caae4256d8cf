"""Hyper-parameters: numbers in their range, as plain Python numbers."""

from __future__ import annotations

import math
import operator
import reprlib
from typing import Any, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np


class Range(NamedTuple):
    """The numbers from `low` up to `high`, which is not one of them."""

    low: float
    high: float
    text: str


POSITIVE = Range(math.ulp(0.0), math.inf, "a number above 0")
NOT_NEGATIVE = Range(0.0, math.inf, "a number of at least 0")
BELOW_ONE = Range(0.0, 1.0, "a number in [0, 1)")
BETWEEN = Range(math.ulp(0.0), 1.0, "a number in (0, 1)")
FRACTION = Range(0.0, math.nextafter(1.0, 2.0), "a number in [0, 1]")


def brief(value: Any) -> str:
    """Return a value as text; of an array, or a long list, what it is."""
    if getattr(value, "shape", ()):
        return f"{type(value).__name__} of shape {value.shape}"
    return reprlib.repr(value) if isinstance(value, (list, tuple, dict, set)) else repr(value)


def number(name: str, value: SupportsFloat, within: Range) -> float:
    """Return the value as a float within a range; raise TypeError or ValueError if it is not."""
    if type(value) is float and within.low <= value < within.high:
        return value
    if isinstance(value, (str, bytes, bytearray, complex)):
        raise TypeError(f"{name}: expected {within.text}, got {value!r}")
    try:
        converted = float(value)
    except OverflowError:
        converted = math.inf
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected {within.text}, got {brief(value)}") from None
    if not within.low <= converted < within.high:
        raise ValueError(f"{name}: expected {within.text}, got {value!r}")
    return converted


def positive(name: str, value: SupportsFloat) -> float:
    """Return a finite number above 0."""
    return number(name, value, POSITIVE)


def not_negative(name: str, value: SupportsFloat) -> float:
    """Return a finite number of at least 0."""
    return number(name, value, NOT_NEGATIVE)


def below_one(name: str, value: SupportsFloat) -> float:
    """Return a number in [0, 1)."""
    return number(name, value, BELOW_ONE)


def fraction(name: str, value: SupportsFloat) -> float:
    """Return a number in [0, 1]."""
    return number(name, value, FRACTION)


def integer(name: str, value: SupportsIndex, low: int, high: int = 2**63 - 1) -> int:
    """Return an integer in [low, high]."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {brief(value)}") from None
    if not low <= number <= high:
        raise ValueError(f"{name}: expected an integer from {low} to {high}, got {value!r}")
    return number


def one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    """Return a string that is among the choices."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
    return value


def flag(name: str, value: object) -> bool:
    """Return True or False; raise TypeError for anything else."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"{name}: expected True or False, got {value!r}")
