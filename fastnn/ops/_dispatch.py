"""The one place where a call goes to a kernel or to its NumPy reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import config
from fastnn._messages import compiling as _compiling  # noqa: F401 - will listen to Numba
from fastnn.kernels.calls.routine import LEFT_OUT as LEFT_OUT
from fastnn.kernels.calls.routine import routine
from fastnn.kernels.machine import catalogue
from fastnn.kernels.machine.signature import shape_of
from fastnn.kernels.threading import threads


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
    if not compiled():
        run_reference(name, *args)
    elif (most := config.limit()) is None:
        routine(name).run(*args)
    else:
        pieces = _pieces(name, args, most)
        threads.wake(pieces - 1)
        routine(name)(*args, pieces)


def _pieces(name: str, args: tuple[Any, ...], most: int) -> int:
    """Return into how many pieces to cut a call that may have so many threads."""
    if most == 1:
        return 1
    signature = catalogue.signature(name)
    lengths: dict[str, int] = {}
    for parameter, arg in zip(signature.parameters, args, strict=True):
        if parameter.axes is not None and arg is not None:
            lengths.update(zip(parameter.axes, shape_of(parameter.axes, arg), strict=True))
    work = sum(f * math.prod(lengths[name] for name in names) for f, names in signature.cost)
    return min(most, threads.chunks(int(work)))
