"""What is computed in float64, whatever the dtype of arrays."""

from __future__ import annotations

import numpy as np

from fastnn._utils.types import Array


def widened(*arrays: Array) -> tuple[Array, ...]:
    """Return the arrays in float64, or wider as they are."""
    dtype = np.result_type(np.float64, *arrays)
    return tuple(array.astype(dtype, copy=False) for array in arrays)


def rest_of(xhat: Array, axis: int) -> Array:
    """Return the mean of what should have mean 0, or 0 where it is not finite."""
    rest = np.mean(xhat, axis=axis)
    return np.where(np.isfinite(rest), rest, 0)
