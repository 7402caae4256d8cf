"""Arrays that are views of files mapped into memory."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np


def _mapping(array: Any) -> tuple[mmap.mmap | None, np.memmap[Any, Any] | None]:
    """Return what an array is a view of: a mapping, and the memmap that made it, if one did."""
    memmap = None
    while array is not None:
        if isinstance(array, mmap.mmap):
            return array, memmap
        if isinstance(array, np.memmap):
            memmap = array
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return None, memmap


def _size(mapping: mmap.mmap | None) -> int | None:
    """Return how long the file of a mapping is; None if it is of none, or does not hold it open."""
    try:
        return None if mapping is None else mapping.size()
    except (OSError, ValueError):
        return None


def is_mapped(array: Any) -> bool:
    """Say whether an array is a view of a file."""
    return getattr(array, "base", None) is not None and _size(_mapping(array)[0]) is not None


def expect_whole(name: str, array: Any) -> None:
    """Raise ValueError if the file that an array is a view of has become shorter than its mapping.

    To read what it has no longer ends the process (SIGBUS).
    """
    if getattr(array, "base", None) is None:
        return
    mapping, memmap = _mapping(array)
    size = _size(mapping)
    if mapping is None or size is None:
        return
    begin, file = 0, "its file"
    if memmap is not None:
        offset = memmap.offset or 0
        begin, file = offset - offset % mmap.ALLOCATIONGRANULARITY, f"file {memmap.filename}"
    wanted = begin + len(mapping)
    if size < wanted:
        raise ValueError(
            f"{name}: expected {file} to have at least {wanted:,} bytes, as when it was mapped "
            f"into memory, got {size:,} bytes"
        )
