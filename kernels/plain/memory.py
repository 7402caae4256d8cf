"""Where arrays begin in memory."""

from __future__ import annotations

from typing import Any

CACHE_LINE = 64  # bytes


def aligned(buffer: Any, size: int, boundary: int = CACHE_LINE) -> Any:
    """Return a view of so many bytes of a buffer, which begins at a multiple of `boundary`.

    Parameters
    ----------
    buffer : array of uint8, shape (size + boundary,) or more
    size, boundary : int
        In bytes.
    """
    start = -buffer.ctypes.data % boundary
    return buffer[start : start + size]
