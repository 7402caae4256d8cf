"""Memory for large results, used again when nobody holds the last one any more.

The C library gives large arrays back to the system at once, and the system hands out each page of
the next one anew, zeroed: to write 47 MB of columns takes 3 ms, with fresh pages 6 to 9. A result
and all views of it hold one array, behind which NumPy does not look; when this one ends, its buffer
is free.

No locks: a signal handler, or a garbage collection, may come at any place and ask for memory, or
give some back. What is done to a dictionary here happens at once or not at all: a list of its items
does not, as to make a pair of each may begin a garbage collection (until Python 3.11).
"""

from __future__ import annotations

import math
import weakref
from typing import Any

import numpy as np

from fastnn._utils.types import Array
from fastnn.kernels.plain.memory import CACHE_LINE, aligned
from fastnn.kernels.tuning import COMMON

# Bytes from which on results are large, and of buffers that nobody uses before the oldest go.
LARGE, KEPT = COMMON.large_result, COMMON.results_kept


class Buffers:
    """Buffers of bytes, those that are free, and what tells of the others' end."""

    def __init__(self) -> None:
        self._free: dict[int, Any] = {}  # the oldest first
        self._used: dict[int, weakref.ref[Any]] = {}

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array of any content, which begins on a cache line."""
        size = math.prod(shape) * dtype.itemsize
        buffer = self._take(size + CACHE_LINE)
        # Its base is a memoryview, not an array, which views of it would have as theirs.
        owner: Any = np.frombuffer(memoryview(buffer), np.uint8)
        key = id(owner)
        self._used[key] = weakref.ref(owner, lambda _: self._release(key, buffer))
        array: Array = aligned(owner, size).view(dtype).reshape(shape)
        return array

    def _take(self, size: int) -> Any:
        """Return a free buffer that is large enough, but not by half, or a new one."""
        for key in list(self._free):
            buffer = self._free.get(key)
            fits = buffer is not None and size <= buffer.size <= 1.5 * size
            if fits and self._free.pop(key, None) is not None:
                return buffer
        return np.empty(size, np.uint8)

    def _release(self, key: int, buffer: Any) -> None:
        """Take back a buffer; give back the oldest beyond those that are kept."""
        self._used.pop(key, None)
        self._free[id(buffer)] = buffer
        kept = 0
        for index in reversed(list(self._free)):
            free = self._free.get(index)
            kept += 0 if free is None else free.size
            if kept > KEPT:
                self._free.pop(index, None)


_buffers = Buffers()


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an array of any content for a result."""
    if math.prod(shape) * dtype.itemsize < LARGE:
        return np.empty(shape, dtype)
    return _buffers.empty(shape, dtype)
