"""Samples and targets as a training program reads them: where they lie and what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn._utils.types import Array
from fastnn.kernels.program.tables import FLOAT32, FLOAT64, UINT8
from fastnn.layers.planning import Unsupported
from fastnn.ops._targets import labels

KINDS: dict[np.dtype[Any], int] = {
    np.dtype(np.float32): FLOAT32,
    np.dtype(np.float64): FLOAT64,
    np.dtype(np.uint8): UINT8,
}


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


def samples(x: ArrayLike, scale: float, real: np.dtype[Any]) -> Samples:
    """Return samples as a program can read them: where they lie, or else a converted copy."""
    array = np.asarray(x)
    if array.ndim < 2:
        raise Unsupported(f"x has shape {array.shape}, not one row a sample")
    array = array.reshape(len(array), -1)
    item = array.dtype.itemsize
    if (
        array.dtype not in KINDS
        or (array.shape[1] > 1 and array.strides[1] != item)
        or array.strides[0] % item
        or not array.flags.aligned
    ):
        array = np.ascontiguousarray(array, real)
    return Samples(array, scale)


def targets(t: ArrayLike, n: int, classes: int, real: np.dtype[Any], dense: bool) -> NDArray[Any]:
    """Return labels (N,) of int64 or targets (N, classes), checked and of our own.

    Nobody can change a label after it was checked.
    """
    given = np.asarray(t)
    if dense or given.shape == (n, classes):
        if given.shape != (n, classes) or given.dtype.kind not in "fiub":
            raise Unsupported(
                f"t: expected {classes} numbers for each of {n} samples, "
                f"got {given.dtype} of shape {given.shape}"
            )
        return np.array(given, real, order="C")
    return np.array(labels(given, n, classes))


def as_used(given: Samples, real: np.dtype[Any]) -> Array:
    """Return the samples as products read them."""
    if given.is_as_used(real):
        return given.array
    used: Array = np.ascontiguousarray(given.array, real) * real.type(given.scale)
    return used
