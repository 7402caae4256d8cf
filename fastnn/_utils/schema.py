"""What the data in a file must be: checks of named values, and of dicts and lists of them.

A check is a function of a name and a value, like those in :mod:`fastnn._utils.validation`: it
returns the value, or raises TypeError or ValueError with the name in it.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastnn._utils.types import Array

Check = Callable[[str, Any], Any]


@contextmanager
def reading(source: str, what: str) -> Iterator[None]:
    """Let what is raised about the data of a file be a ValueError that names the file."""
    try:
        yield
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise refusal(source, what, error) from error


def refusal(source: str, what: str, error: Exception) -> ValueError:
    """Return the error of a file that is not what it should be."""
    return ValueError(
        f"path: expected a {what} written by this version of fastnn, got {source}: "
        f"{str(error) or type(error).__name__}"
    )


def text(name: str, value: Any) -> str:
    """Return a string."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected a string, got {reprlib.repr(value)}")
    return value


def optional(check: Check) -> Check:
    """Return a check that lets None pass."""
    return lambda name, value: None if value is None else check(name, value)


def listed(check: Check) -> Check:
    """Return a check for lists whose items pass one."""

    def each(name: str, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise TypeError(f"{name}: expected a list, got {reprlib.repr(value)}")
        return [check(f"{name}[{i}]", item) for i, item in enumerate(value)]

    return each


def keyed(check: Check) -> Check:
    """Return a check for dicts whose values pass one, whatever their keys."""

    def each(name: str, value: Any) -> dict[str, Any]:
        return {key: check(f"{name}[{key!r}]", item) for key, item in _dict(name, value).items()}

    return each


def entries(checks: Mapping[str, Check]) -> Check:
    """Return a check for dicts with a value for each check, and nothing else."""

    def each(name: str, value: Any) -> dict[str, Any]:
        same_names(name, _dict(name, value), checks)
        return {key: check(f"{name}.{key}", value[key]) for key, check in checks.items()}

    return each


def same_names(name: str, given: Collection[str], expected: Collection[str]) -> None:
    """Raise ValueError unless names are the expected ones, in whatever order."""
    lacking = sorted({*expected} - {*given})
    beyond = sorted({*given} - {*expected})
    if lacking or beyond:
        raise ValueError(
            f"{name}: expected {', '.join(expected) or 'nothing'}"
            + (f"; {', '.join(lacking)} is missing" if lacking else "")
            + (f"; got {', '.join(map(repr, beyond))} too" if beyond else "")
        )


def _dict(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{name}: expected a dict, got {reprlib.repr(value)}")
    return value


def alike(name: str, value: Any, present: Any) -> Any:
    """Return a number or string that may take the place of another: of the same kind."""
    kind = _kind(value)
    if kind and (present is None or kind == _kind(present)):
        return value
    expected = "a number or a string" if present is None else f"a value like {present!r}"
    raise TypeError(f"{name}: expected {expected}, got {reprlib.repr(value)}")


def _kind(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "truth"
    if isinstance(value, (int, float, np.number)):
        return "number"
    return "text" if isinstance(value, str) else ""


def not_negative(name: str, array: Array) -> None:
    """Raise ValueError if an array of what is never negative, such as variances, has less than 0.

    The roots that are taken of it would be NaN.
    """
    least = array.min(initial=0.0)
    if least < 0:
        raise ValueError(f"{name}: expected numbers of at least 0, got {least}")
