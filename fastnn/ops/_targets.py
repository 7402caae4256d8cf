"""Targets of the losses: labels, or a row of numbers for each sample."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn._utils.types import Array, Labels
from fastnn.ops._arrays import real

_EPS16, _EPS32 = (float(np.finfo(kind).eps) for kind in (np.float16, np.float32))
_DIGITS = 1e-3
_I64 = np.dtype(np.int64)

# Targets of the logistic loss, and of the Poisson deviance: the least and the largest number.
ANSWERS, COUNTS = (0.0, 1.0), (0.0, math.inf)

SQUARES = 'real-valued targets take loss="mean_squared_error" in the network'
YES_OR_NO = 'yes and no with one output take loss="binary_cross_entropy"'
WHOLE = "classes, t = np.unique(t, return_inverse=True) makes labels of any values"


def read_targets(name: str, t: ArrayLike) -> NDArray[Any]:
    """Return targets as an array of real numbers; labels may be integers in an array of objects."""
    try:
        return real(name, t)
    except TypeError as error:
        array = np.asarray(t)
        if array.dtype.kind == "O" and array.ndim and all(map(_is_integer, array.ravel())):
            try:
                return array.astype(np.int64)
            except OverflowError:
                raise ValueError(f"{name}: expected integers of 64 bits, got larger ones") from None
        if array.ndim and array.dtype.kind in "OSU":
            raise TypeError(f"{error}; {WHOLE}") from None
        raise


def labels(given: NDArray[Any], n: int, classes: int, name: str = "t") -> Labels:
    """Return n labels as kernels take them, checked.

    Truth values and floating-point numbers without a fraction are labels, too.
    """
    if given.shape not in ((n,), (n, 1)):
        raise ValueError(
            f"{name}: expected {n} labels of shape ({n},) or targets of shape ({n}, {classes}), "
            f"got shape {given.shape}"
        )
    if given.dtype.kind not in "iub":
        _expect_integers(given, classes, name)
    if given.dtype is _I64 and given.ndim == 1 and given.flags.carray:
        plain = given
    else:
        plain = np.require(given.reshape(n), _I64, ["C", "A", "W"])
    # As numbers without a sign, negative ones are large.
    if plain.view(np.uint64).max() >= classes:
        expect_range(given, classes, name)
    return plain


def outputs(given: NDArray[Any], n: int, count: int, name: str = "t") -> NDArray[Any]:
    """Return targets of the squared error with a row for each sample; (n,) is one column."""
    if given.shape == (n, count):
        return given
    if given.shape == (n,) and count == 1:
        return given.reshape(n, 1)
    hint = ""
    if given.shape in ((n,), (n, 1)) and given.dtype.kind in "iu":
        hint = f"; np.eye({count})[t.ravel()] makes one-hot targets of labels"
    raise ValueError(f"{name}: expected targets of shape ({n}, {count}), got {given.shape}{hint}")


def one_output(name: str = "output_size") -> ValueError:
    """Return an error for the cross-entropy of a single output, which is always 0."""
    return ValueError(
        f"{name}: expected at least 2 with the cross-entropy, which needs an output for each "
        f"class, got 1; {YES_OR_NO}, {SQUARES}"
    )


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


def right_classes(scores: NDArray[Any], t: NDArray[Any]) -> NDArray[np.bool_]:
    """Say which largest scores are the targets'; both are rows where shapes are the same."""
    found = t.argmax(axis=1) if t.shape == scores.shape else t.reshape(-1)
    right: NDArray[np.bool_] = scores.argmax(axis=1) == found
    return right


def right_answers(scores: NDArray[Any], t: NDArray[Any]) -> NDArray[np.bool_]:
    """Say which rows have scores above 0 where the targets are above 1/2, and only there.

    So it is where the probability of a yes, sigmoid of the score, is above 1/2.
    """
    right: NDArray[np.bool_] = ((scores > 0) == (t.reshape(scores.shape) > 0.5)).all(axis=1)
    return right


def count_correct(scores: NDArray[Any], t: NDArray[Any]) -> int:
    """Return how many largest scores are the targets'; both are rows where shapes are the same."""
    return int(np.count_nonzero(right_classes(scores, t)))


def expect_between(name: str, t: Array, low: float, high: float, first: int = 0) -> None:
    """Raise ValueError unless rows of targets are finite numbers from `low` to `high`.

    `first` is the number of the first row.
    """
    good = (t >= low) & (t <= high) & np.isfinite(t)
    if good.all():
        return
    i, j = divmod(int(good.argmin()), t.shape[1])
    what = f"of at least {low:g}" if high == COUNTS[1] else f"from {low:g} to {high:g}"
    raise ValueError(
        f"{name}: expected finite numbers {what}, got {t[i, j]} in row {i + first}, column {j}"
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, (Integral, np.bool_))


def _expect_integers(given: NDArray[Any], classes: int, name: str) -> None:
    """Raise unless labels of another kind, which integers are made of, are integers in range."""
    if given.dtype.kind != "f":
        raise TypeError(f"{name}: expected labels that are integers, got {given.dtype}; {WHOLE}")
    finite = np.isfinite(given)
    if not finite.all():
        i = int(finite.argmin())
        raise ValueError(
            f"{name}: expected labels from 0 to {classes - 1}, got {given.flat[i]} in {name}[{i}]"
        )
    if (given != np.trunc(given)).any():
        raise TypeError(f"{name}: expected labels that are integers, got {given.dtype}; {SQUARES}")
    expect_range(given, classes, name)


def _range_hint(low: int, high: int, classes: int) -> str:
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
            f"each class; {YES_OR_NO}, {SQUARES}"
        )
    if row.min() < 0:
        return f"got {row.min()} in row {i}, column {int(row.argmin())}; {SQUARES}"
    text = f"got a sum of {sums[number]:.6g} in row {i}; {SQUARES}"
    return f"{text}, t / t.sum(axis=1, keepdims=True) makes counts into probabilities"
