"""Sparse samples, which become dense some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse

from fastnn._utils.types import Array
from fastnn.program.data import OnDemand

_BLOCK = 1 << 22  # bytes of samples that are dense at a time


class SparseRows(OnDemand):
    """A sparse matrix, of which rows are read as dense ones.

    Parameters
    ----------
    matrix : sparse matrix or array, shape (N, D)
    """

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix.tocsr()
        self.shape: tuple[int, ...] = matrix.shape
        self.dtype: np.dtype[Any] = matrix.dtype

    def __getitem__(self, rows: Any) -> Array:
        dense: Array = self._matrix[rows].toarray()
        return dense


def as_samples(X: Any) -> Any:
    """Return samples as training and prediction read them."""
    return SparseRows(X) if scipy.sparse.issparse(X) else X


def blocks(x: Any, most: int | None = None) -> Iterator[Array]:
    """Return the samples as arrays, of so many rows at most; sparse ones some at a time anyway."""
    step = len(x) if most is None else most
    if isinstance(x, SparseRows):
        step = min(step, max(1, _BLOCK // max(1, x.shape[1] * 8)))
    elif step >= len(x):
        return iter([x])
    return (x[begin : begin + step] for begin in range(0, len(x), step))
