"""Hyper-parameters: numbers in their range, as plain Python numbers."""

from __future__ import annotations

import math
import operator
from typing import SupportsFloat, SupportsIndex


def _number(name: str, value: SupportsFloat, expected: str) -> float:
    if isinstance(value, (str, bytes, bytearray, complex)):
        raise TypeError(f"{name}: expected {expected}, got {value!r}")
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected {expected}, got {value!r}") from None


def positive(name: str, value: SupportsFloat) -> float:
    """Return a finite number above 0."""
    number = value if type(value) is float else _number(name, value, "a number above 0")
    if not 0 < number < math.inf:
        raise ValueError(f"{name}: expected a number above 0, got {value!r}")
    return number


def not_negative(name: str, value: SupportsFloat) -> float:
    """Return a finite number from 0 up."""
    number = value if type(value) is float else _number(name, value, "a number from 0 up")
    if not 0 <= number < math.inf:
        raise ValueError(f"{name}: expected a number from 0 up, got {value!r}")
    return number


def below_one(name: str, value: SupportsFloat) -> float:
    """Return a number in [0, 1)."""
    number = value if type(value) is float else _number(name, value, "a number in [0, 1)")
    if not 0 <= number < 1:
        raise ValueError(f"{name}: expected a number in [0, 1), got {value!r}")
    return number


def fraction(name: str, value: SupportsFloat) -> float:
    """Return a number in [0, 1]."""
    number = value if type(value) is float else _number(name, value, "a number in [0, 1]")
    if not 0 <= number <= 1:
        raise ValueError(f"{name}: expected a number in [0, 1], got {value!r}")
    return number


def whole(name: str, value: SupportsIndex, low: int, high: int = 2**63 - 1) -> int:
    """Return a whole number in [low, high]."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected a whole number, got {value!r}") from None
    if not low <= number <= high:
        raise ValueError(f"{name}: expected a whole number from {low} to {high}, got {value!r}")
    return number


def one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    """Return a string that is among the choices."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
    return value
