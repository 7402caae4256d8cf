"""Targets of the cross-entropy: labels, or a row of probabilities for each sample."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._utils.types import Array, Labels

_EPS16, _EPS32 = (float(np.finfo(kind).eps) for kind in (np.float16, np.float32))
_DIGITS = 1e-3
_I64 = np.dtype(np.int64)

SQUARES = 'real-valued targets take loss="mean_squared_error" in the network'
WHOLE = "classes, t = np.unique(t, return_inverse=True) makes labels of any values"


def labels(given: NDArray[Any], n: int, classes: int, name: str = "t") -> Labels:
    """Return n labels as kernels take them, checked."""
    if given.shape not in ((n,), (n, 1)):
        raise ValueError(
            f"{name}: expected {n} labels of shape ({n},) or targets of shape ({n}, {classes}), "
            f"got shape {given.shape}"
        )
    if given.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: expected labels of an integer dtype, got {given.dtype}; {_hint(given)}"
        )
    if given.dtype is _I64 and given.ndim == 1 and given.flags.carray:
        plain = given
    else:
        plain = np.require(given.reshape(n), _I64, ["C", "A", "W"])
    # As numbers without a sign, negative ones are large.
    if plain.view(np.uint64).max() >= classes:
        expect_range(given, classes, name)
    return plain


def expect_range(given: NDArray[Any], classes: int, name: str = "t") -> None:
    """Raise ValueError unless labels are from 0 to the last class."""
    low, high = given.min(), given.max()
    if low < 0 or high >= classes:
        raise ValueError(
            f"{name}: expected labels from 0 to {classes - 1}, got {low if low < 0 else high}"
            + _range_hint(int(low), int(high), classes)
        )


def are_rows(given: NDArray[Any]) -> bool:
    """Say whether targets are rows, with a number for each class, and no labels."""
    return given.ndim == 2 and given.shape[1] > 1


def largest(given: NDArray[Any]) -> NDArray[Any]:
    """Return n labels: those that are given, or of each row the class with the largest number."""
    return given.argmax(axis=1) if are_rows(given) else given.reshape(-1)


def classes_of(given: NDArray[Any], n: int, classes: int, name: str = "t") -> NDArray[Any]:
    """Return n labels to compare with classes, checked: labels may be of any dtype of numbers.

    Raises
    ------
    TypeError, ValueError
        If they are not n of them, at least one, or no integers, or out of range.
    """
    if given.dtype.kind not in "iub" and not (
        given.dtype.kind == "f" and (are_rows(given) or _are_whole(given))
    ):
        raise TypeError(
            f"{name}: expected labels that are integers, got {given.dtype}; {_hint(given)}"
        )
    found = largest(given)
    if n == 0 or found.shape != (n,):
        raise ValueError(
            f"{name}: expected targets for {n} samples, at least one, got shape {given.shape}"
        )
    expect_range(found, classes, name)
    return found


def count_correct(scores: NDArray[Any], t: NDArray[Any]) -> int:
    """Return how many largest scores are the targets'; both are rows where shapes are the same."""
    found = t.argmax(axis=1) if t.shape == scores.shape else t.reshape(-1)
    return int(np.count_nonzero(scores.argmax(axis=1) == found))


def as_integers(given: NDArray[Any]) -> NDArray[Any]:
    """Return labels that are integers as objects, as tables have them, as an array of such."""
    if given.dtype.kind == "O" and all(isinstance(value, Integral) for value in given.ravel()):
        return given.astype(np.int64)
    return given


def _are_whole(given: NDArray[Any]) -> bool:
    with np.errstate(invalid="ignore"):
        return bool((given == np.trunc(given)).all())  # NaN equals nothing


def _hint(given: NDArray[Any]) -> str:
    """Return how to make labels of something else."""
    if given.dtype.kind == "b":
        return "t.astype(int) makes labels of them"
    if given.dtype.kind == "f":
        return "t.astype(int) makes labels of them" if _are_whole(given) else SQUARES
    return WHOLE


def _range_hint(low: int, high: int, classes: int) -> str:
    if classes == 1:
        return f"; the cross-entropy needs an output for each class, 2 for yes and no; {SQUARES}"
    if low == 1 and high == classes:
        return "; t - 1 makes labels from 0 of those from 1"
    if low < 0:
        return f"; {WHOLE}"
    return ""


def expect_probabilities(
    name: str, t: Array, dtype: np.dtype[Any] | None = None, first: int = 0
) -> None:
    """Raise ValueError unless rows are probabilities: at least 0, with the sum 1.

    Parameters
    ----------
    name : str
    t : ndarray, shape (N, C)
        Of real numbers.
    dtype : dtype, optional
        What it was before a conversion.
    first : int
        Number of the first row.
    """
    sums = np.add.reduce(t, axis=1, dtype=t.dtype if t.dtype.char in "fd" else np.float64)
    slack = _slack(t.dtype if dtype is None else dtype, t.shape[1])
    low, high = np.minimum.reduce(sums), np.maximum.reduce(sums)
    if np.minimum.reduce(t, axis=None) >= 0 and low >= 1 - slack and high <= 1 + slack:
        return
    raise ValueError(f"{name}: expected rows of probabilities, {_wrong(t, sums, slack, first)}")


def _slack(dtype: np.dtype[Any], classes: int) -> float:
    """Return by how much a sum may be off.

    Softmax, and the sum here, round once for each class; mixing, smoothing and conversions are a
    few more. Probabilities of float64 may come from a network of float32, and be kept in three
    digits.
    """
    return max(_DIGITS, (_EPS16 if dtype == np.float16 else _EPS32) * (2 * classes + 8))


def _wrong(t: Array, sums: Array, slack: float, first: int) -> str:
    """Return what is wrong with the first row that is no probabilities, and what to do."""
    with np.errstate(invalid="ignore"):
        bad = ~(t >= 0).all(axis=1) | ~(np.abs(sums - 1) <= slack)
    number = int(bad.argmax())
    row, i = t[number], number + first
    if not np.isfinite(row).all():
        j = int((~np.isfinite(row)).argmax())
        return f"got {row[j]} in row {i}, column {j}"
    if t.shape[1] == 1:
        return (
            f"got {row[0]} in row {i} of a single column: the cross-entropy needs an output for "
            f"each class, 2 for yes and no; {SQUARES}"
        )
    if row.min() < 0:
        return f"got {row.min()} in row {i}, column {int(row.argmin())}; {SQUARES}"
    text = f"got a sum of {sums[number]:.6g} in row {i}; {SQUARES}"
    return f"{text}, t / t.sum(axis=1, keepdims=True) makes counts into probabilities"
