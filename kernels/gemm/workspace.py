"""Memory that kernels pack operands into, kept for the next call of the same Python thread."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

KEPT = 1 << 26  # bytes that a thread holds on to, for each dtype


class _Kept(threading.local):
    def __init__(self) -> None:
        self.arrays: dict[np.dtype[Any], Any] = {}


_kept = _Kept()


def take(size: int, dtype: np.dtype[Any]) -> Any:
    """Return a flat array of at least `size` elements, for the caller alone until it gives it back.

    A signal handler that interrupts the caller and takes one too gets its own.
    """
    array = _kept.arrays.pop(dtype, None)
    if array is None or array.size < size:
        array = np.empty(size, dtype)
    return array


def give_back(array: Any) -> None:
    """Keep the array for the thread's next :func:`take`, unless it is very large."""
    if array.nbytes <= KEPT:
        _kept.arrays[array.dtype] = array
