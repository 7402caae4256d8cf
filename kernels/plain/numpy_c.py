"""NumPy's own module of C, which knows the processor, and where NumPy's functions are."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def numpy_c() -> Any:
    """Return it; NumPy 1 has it elsewhere."""
    try:
        return import_module("numpy._core._multiarray_umath")
    except ImportError:
        return import_module("numpy.core._multiarray_umath")
