"""Memory that a training program works in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LINE = 64  # bytes


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return zeros that begin on a cache line."""
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    memory = np.zeros(size + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + size].view(kind).reshape(shape)


class Workspace:
    """Arrays by what they are for; it keeps them, and what points into them, alive."""

    def __init__(self) -> None:
        self.arrays: list[tuple[str, NDArray[Any]]] = []

    def take(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> int:
        """Return the address of zeros."""
        return self.keep(name, aligned(shape, dtype))

    def keep(self, name: str, array: NDArray[Any]) -> int:
        """Return the address of an array."""
        self.arrays.append((name, array))
        return array.ctypes.data
