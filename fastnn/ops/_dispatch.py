"""The one place where a call goes to a kernel or to its NumPy reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import config, kernels, reference
from fastnn._messages import compiling as _compiling  # noqa: F401 - it listens to Numba
from fastnn.kernels.threading import threads


def compiled() -> bool:
    """Say whether calls go to the kernels."""
    return config.get_backend() == "numba"


def run_kernel(name: str, work: int, args: tuple[Any, ...]) -> None:
    """Call the kernel called `name`; `work` is as in :func:`run`."""
    threads.run(getattr(kernels, name), args, work)


def run_reference(name: str, *args: Any) -> None:
    """Call the NumPy reference called `name`."""
    # As in the kernels, overflow and the like show in the result only.
    with np.errstate(all="ignore"):
        getattr(reference, name)(*args)


def run(name: str, work: int, *args: Any) -> None:
    """Call the kernel or the reference called `name`.

    Parameters
    ----------
    name : str
    work : int
        Cost of the call, counted in elements of a cheap elementwise loop.
    *args
        The reference's arguments, checked.
    """
    if compiled():
        run_kernel(name, work, args)
    else:
        run_reference(name, *args)
