"""Which arrays go to the kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.ops._arrays import own

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def usual(*arrays: Any) -> bool:
    """Say whether all are plain arrays, with axes, of one type: float32 or float64."""
    first = arrays[0]
    if type(first) is not np.ndarray or first.dtype not in _FLOATS:
        return False
    dtype = first.dtype
    for array in arrays:
        if type(array) is not np.ndarray or array.ndim == 0:
            return False
        # To see that there is one dtype object takes a tenth of the time.
        if array.dtype is not dtype and array.dtype != dtype:
            return False
    return True


def writable(value: Any) -> Any:
    """Return a value, or a copy of an array in a mapped file or that can only be read."""
    return own(value) if isinstance(value, np.ndarray) else value
