"""Memory for large results, used again when nobody holds the last one any more.

The C library gives large arrays back to the system at once, and the system hands out each page of
the next one anew, zeroed: to write 47 MB of columns takes 3 ms, with fresh pages 6 to 9. An array
of this module is a view of a buffer that stays; NumPy's views hold the buffer itself, so that its
reference count tells whether there are any.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from typing import Any

import numpy as np

from fastnn._utils.types import Array
from fastnn.kernels.codegen.memory import CACHE_LINE, aligned
from fastnn.kernels.tuning import COMMON

# Bytes from which on results are large, and of buffers that nobody uses before the oldest go.
LARGE, KEPT = COMMON.large_result, COMMON.results_kept


class Buffers:
    """Buffers of bytes, those that are used and those that are free."""

    def __init__(self) -> None:
        self.unlock()
        self._buffers: list[Any] = [np.empty(0, np.uint8)]
        self._free = self._references(0)  # of one that nobody uses
        self._buffers.clear()

    def unlock(self) -> None:
        """Begin with a lock that nobody holds: a fork may have come while another thread did."""
        self._lock = threading.Lock()

    def _references(self, index: int) -> int:
        return sys.getrefcount(self._buffers[index])

    def _is_free(self, index: int) -> bool:
        return self._references(index) == self._free

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array of any content, which begins on a cache line."""
        size = math.prod(shape) * dtype.itemsize
        with self._lock:
            buffer = self._take(size + CACHE_LINE)
            array: Array = aligned(buffer, size).view(dtype).reshape(shape)
        return array

    def _take(self, size: int) -> Any:
        """Return a free buffer that is large enough, but not by half, or a new one."""
        for index in range(len(self._buffers)):
            if size <= self._buffers[index].size <= 1.5 * size and self._is_free(index):
                return self._buffers[index]
        self._drop()
        self._buffers.append(np.empty(size, np.uint8))
        return self._buffers[-1]

    def _drop(self) -> None:
        """Give back the oldest of the free buffers, beyond those that are kept."""
        free = [index for index in range(len(self._buffers)) if self._is_free(index)]
        kept = 0
        for index in reversed(free):
            kept += self._buffers[index].size
            if kept > KEPT:
                del self._buffers[index]


_buffers = Buffers()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_buffers.unlock)


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an array of any content for a result."""
    if math.prod(shape) * dtype.itemsize < LARGE:
        return np.empty(shape, dtype)
    return _buffers.empty(shape, dtype)
