"""Memory that kernels pack operands into, kept for the next call of the same Python thread."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from fastnn.kernels.plain.memory import CACHE_LINE, aligned
from fastnn.kernels.tuning import COMMON

KEPT = COMMON.workspace_kept


class _Kept(threading.local):
    def __init__(self) -> None:
        self.arrays: dict[np.dtype[Any], Any] = {}


_kept = _Kept()


def take(size: int, dtype: np.dtype[Any]) -> Any:
    """Return a flat array of at least `size` elements, for the caller alone until it gives it back.

    It begins on a cache line. A signal handler that interrupts the caller and takes one too gets
    its own.
    """
    array = _kept.arrays.pop(dtype, None)
    if array is None or array.size < size:
        memory = np.empty(size * dtype.itemsize + CACHE_LINE, np.uint8)
        array = aligned(memory, size * dtype.itemsize).view(dtype)
    return array


def give_back(array: Any) -> None:
    """Keep the array for the thread's next :func:`take`, unless it is very large."""
    if array.nbytes <= KEPT:
        _kept.arrays[array.dtype] = array
