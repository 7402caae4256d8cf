"""Memory that a training program works in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastnn.kernels.plain import memory
from fastnn.kernels.plain.table import LINE


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return zeros that begin on a cache line."""
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    buffer = np.zeros(size + memory.CACHE_LINE, np.uint8)
    array: NDArray[Any] = memory.aligned(buffer, size).view(kind).reshape(shape)
    return array


Key = TypeVar("Key")


class Layout(Generic[Key]):
    """Where arrays stand in one flat buffer: each begins at a multiple of `LINE`.

    Attributes
    ----------
    begins : dict of Key to int
    size : int
        Length of such a buffer.
    """

    def __init__(self, arrays: Mapping[Key, NDArray[Any]]) -> None:
        self._shapes = {key: array.shape for key, array in arrays.items()}
        self.begins: dict[Key, int] = {}
        self.size = 0
        for key, array in arrays.items():
            self.begins[key] = self.size
            self.size += -(-array.size // LINE) * LINE

    def views(self, flat: NDArray[Any]) -> dict[Key, NDArray[Any]]:
        """Return the parts of a buffer, in the shapes of the arrays."""
        return {
            key: flat[begin : begin + math.prod(self._shapes[key])].reshape(self._shapes[key])
            for key, begin in self.begins.items()
        }


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
