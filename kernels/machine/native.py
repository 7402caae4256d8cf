"""Parts as functions of Python: for what is called rarely, and with integers alone."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.kernels.machine import code


@functools.cache
def function(name: str, count: int, dtype: np.dtype[Any] | None = None) -> Callable[..., int]:
    """Return a part of so many integers; it runs without the interpreter's lock.

    Its machine code is found, or made, here.
    """
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * count)
    found: Callable[..., int] = kind(code.address(name, dtype))
    return found
