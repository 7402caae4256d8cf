"""Where machine code comes from."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels.tuning import COMMON

MOST = 2 * COMMON.grain  # cost of a call up to which it is done at once


def library() -> Any:
    """Return the library of machine code made ahead, or None where Numba makes it."""
    return None


def call() -> int:
    """Return where :func:`caller.call` begins."""
    from fastnn.kernels.machine import made

    return made.call()


def update_call() -> int:
    """Return where what calls update rules begins."""
    from fastnn.kernels.machine import made

    return made.update_call()


def address(name: str, dtype: np.dtype[Any] | None = None) -> int:
    """Return where the machine code of a kernel or a part begins, compiled if need be.

    Parameters
    ----------
    name : str
        In the catalogue.
    dtype : dtype, optional
        float32 or float64; of what has none, None.

    Raises
    ------
    KeyError
        If the catalogue has no such name.
    """
    from fastnn.kernels.machine import made

    return made.address(name, dtype)


def is_ready(name: str, dtype: np.dtype[Any] | None = None) -> bool:
    """Say whether nothing is to be compiled for :func:`address`."""
    from fastnn.kernels.machine import made

    return made.is_ready(name, dtype)
