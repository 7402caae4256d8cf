"""Samples and targets as a training program reads them: where they lie and what they are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn._utils.mapped import is_mapped
from fastnn._utils.types import Array, Float64s, Int64s
from fastnn.kernels.program.tables import FLOAT32, FLOAT64, UINT8
from fastnn.layers.planning import Unsupported
from fastnn.ops._targets import labels

KINDS: dict[np.dtype[Any], int] = {
    np.dtype(np.float32): FLOAT32,
    np.dtype(np.float64): FLOAT64,
    np.dtype(np.uint8): UINT8,
}

_BLOCK = 1 << 22  # bytes of samples that are converted at a time


@dataclass(frozen=True)
class Samples:
    """Samples of a data set, one a row.

    Attributes
    ----------
    array : ndarray, shape (N, D)
        Of float32, float64 or uint8, contiguous within rows.
    scale : float
        What numbers are multiplied by when they are read.
    """

    array: NDArray[Any]
    scale: float

    @property
    def kind(self) -> int:
        """What the numbers are, for the program."""
        return int(KINDS[self.array.dtype])

    def is_as_used(self, real: np.dtype[Any]) -> bool:
        """Say whether products can read the rows where they lie."""
        return self.array.dtype == real and self.array.flags.c_contiguous and self.scale == 1


class OnDemand:
    """Samples that are made as arrays when they are read, some rows at a time: a base class.

    Attributes
    ----------
    shape : tuple of int
        (N, ...), as of an array of all.
    dtype : dtype
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        """Return an array of the rows of a slice, or with these numbers."""
        raise NotImplementedError


def is_ready(x: NDArray[Any]) -> bool:
    """Say whether a program can read samples where they lie."""
    if x.dtype not in KINDS or not x.flags.aligned or x.strides[0] % x.itemsize:
        return False
    if x.ndim == 2:
        return x.shape[1] == 1 or x.strides[1] == x.itemsize
    return x[:1].flags.c_contiguous


def is_for_blocks(x: Any) -> bool:
    """Say whether samples are converted some at a time: those on demand, and of a file."""
    return isinstance(x, OnDemand) or (x.ndim > 1 and is_mapped(x) and not is_ready(x))


def rows_of_block(x: NDArray[Any], real: np.dtype[Any]) -> int:
    """Return how many samples are converted at a time, at least one."""
    return max(1, _BLOCK // max(1, math.prod(x.shape[1:]) * real.itemsize))


def blocks(x: NDArray[Any], real: np.dtype[Any]) -> Iterator[slice]:
    """Return slices of samples that are converted together."""
    step = rows_of_block(x, real)
    return (slice(begin, begin + step) for begin in range(0, len(x), step))


def rows_of(x: Any) -> Any:
    """Return samples as an array, one a row, or those on demand as they are."""
    array = x if isinstance(x, OnDemand) else np.asarray(x)
    if array.ndim < 2:
        raise Unsupported(f"x has shape {array.shape}, not one row a sample")
    return array


def samples(x: Any, scale: float, real: np.dtype[Any]) -> Samples:
    """Return samples as a program can read them: where they lie, or else a converted copy."""
    array = rows_of(x)
    if isinstance(array, OnDemand):
        array = array[:]
    if not is_ready(array):
        array = np.ascontiguousarray(array, real)
    return Samples(array.reshape(len(array), -1), scale)


def targets(t: ArrayLike, n: int, classes: int, real: np.dtype[Any], dense: bool) -> NDArray[Any]:
    """Return labels (N,) of int64 or targets (N, classes), checked and of our own.

    Nobody can change a label after it was checked. Rows in a file stay there; they are numbers like
    any other.
    """
    given = np.asarray(t)
    if dense or given.shape == (n, classes):
        if given.shape != (n, classes) or given.dtype.kind not in "fiub":
            raise Unsupported(
                f"t: expected {classes} numbers for each of {n} samples, "
                f"got {given.dtype} of shape {given.shape}"
            )
        return given if is_mapped(given) else np.array(given, real, order="C")
    return np.array(labels(given, n, classes))


class Converted:
    """Samples in a file or on demand, and targets, of which some steps' are converted at a time.

    Parameters
    ----------
    x : ndarray, shape (N, ...)
    t : ndarray, shape (N,) or (N, classes)
        Labels of int64, or targets of any dtype.
    weights : ndarray of float64, shape (N,), or None
        Of the samples.
    batch_size : int
        Samples of a step.
    scale : float
        What samples are multiplied by when they are read.
    real : dtype

    Attributes
    ----------
    samples : Samples
    targets, weights : ndarray
        Those of the rows that were taken last, in their order.
    """

    def __init__(
        self,
        x: NDArray[Any],
        t: NDArray[Any],
        weights: Float64s | None,
        batch_size: int,
        scale: float,
        real: np.dtype[Any],
    ) -> None:
        self._x, self._t, self._weights = x, t, weights
        count = max(batch_size, min(len(x), rows_of_block(x, real)))
        self.samples = Samples(np.empty((count, math.prod(x.shape[1:])), real), scale)
        self.targets = np.empty((count, *t.shape[1:]), t.dtype if t.ndim == 1 else real)
        self.weights = None if weights is None else np.empty(count)

    def take(self, rows: Int64s) -> Int64s:
        """Convert samples and targets of these rows; return where they stand."""
        n = len(rows)
        self.samples.array[:n] = self._x[rows].reshape(n, -1)
        self.targets[:n] = self._t[rows]
        if self.weights is not None and self._weights is not None:
            self.weights[:n] = self._weights[rows]
        return np.arange(n)


def as_used(given: Samples, real: np.dtype[Any]) -> Array:
    """Return the samples as products read them."""
    if given.is_as_used(real):
        return given.array
    used: Array = np.ascontiguousarray(given.array, real) * real.type(given.scale)
    return used
