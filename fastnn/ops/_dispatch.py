"""The one place where a call goes to a kernel or to its NumPy reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import config
from fastnn._messages import compiling as _compiling  # noqa: F401 - will listen to Numba
from fastnn.kernels.calls.routine import LEFT_OUT as LEFT_OUT
from fastnn.kernels.calls.routine import routine


def compiled() -> bool:
    """Say whether calls go to the kernels."""
    return config.get_backend() == "numba"


def checked(name: str) -> Callable[..., Any]:
    """Return what calls the kernel called `name` at once, if its arguments are as it takes them.

    It takes the kernel's arguments, None for a result that it is to make, LEFT_OUT for one that is
    not wanted, and returns the results; or NotImplemented, and has done nothing: where the
    arguments are to be converted or refused, where the work may be worth several threads, or where
    calls do not go to the kernels.
    """
    return routine(name).checked


def run_reference(name: str, *args: Any) -> None:
    """Call the NumPy reference called `name`."""
    from fastnn import reference  # where nothing is compiled

    # As in the kernels, overflow and the like show in the result only.
    with np.errstate(all="ignore"):
        getattr(reference, name)(*args)


def run(name: str, *args: Any) -> None:
    """Call the kernel or the reference called `name`.

    Parameters
    ----------
    name : str
    *args
        The reference's arguments, checked.
    """
    if compiled():
        routine(name).run(*args)
    else:
        run_reference(name, *args)
