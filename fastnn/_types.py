"""The array types that annotations speak of."""

from __future__ import annotations

from typing import Any

from numpy import bool_, int64
from numpy.typing import NDArray

Array = NDArray[Any]  # float32 or float64
Labels = NDArray[int64]
Mask = NDArray[bool_]
