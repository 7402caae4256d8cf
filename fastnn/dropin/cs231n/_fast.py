"""What the kernels can be given in the place of NumPy's formula."""

from __future__ import annotations

from typing import Any

import numpy as np

_F64 = np.dtype(np.float64)
_FLOATS = (np.dtype(np.float32), _F64)


def fast(first: Any, *others: Any) -> bool:
    """Say whether these are plain arrays with which NumPy computes in the dtype of the first.

    That is, all are float32 or all float64, or the first is float64 and the others either: the
    course's networks have parameters of float32 and data of float64. (Without axes, NumPy's
    results are numbers and no arrays.)
    """
    if type(first) is not np.ndarray or first.ndim == 0:
        return False
    dtype = first.dtype
    if dtype is not _F64 and dtype not in _FLOATS:
        return False
    for other in others:
        if type(other) is not np.ndarray:
            return False
        # To see that there is one dtype object takes a tenth of the time.
        same = other.dtype is dtype or other.dtype == dtype
        if not same and (dtype != _F64 or other.dtype not in _FLOATS):
            return False
    return True


def plain(array: Any, *numbers: Any) -> bool:
    """Say whether these are numbers that leave an array's dtype as it is."""
    kinds = (float, int, np.float64) if array.dtype == _F64 else (float, int)
    return all([type(number) in kinds for number in numbers])
