"""The array types that annotations speak of."""

from __future__ import annotations

from typing import Any

from numpy import bool_, float64, int64
from numpy.typing import NDArray

Array = NDArray[Any]  # float32 or float64
Labels = NDArray[int64]
Mask = NDArray[bool_]
Samples = NDArray[Any]  # of any real dtype, one a row
Int64s = NDArray[int64]
Float64s = NDArray[float64]
