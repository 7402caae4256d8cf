"""Where machine code comes from: made ahead and installed, or made here, with Numba."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._utils.environment import variable
from fastnn._utils.warnings import warn
from fastnn.kernels.machine import catalogue, kept
from fastnn.kernels.tuning import COMMON

if TYPE_CHECKING:
    from fastnn.kernels.machine.ahead import Library

MOST = 2 * COMMON.grain  # cost of a call up to which it is done at once

AHEAD, JIT = "ahead", "jit"


def asked() -> str | None:
    """Return what ``FASTNN_MACHINE_CODE`` asks for: machine code made ahead, or here; or None."""
    said = variable("FASTNN_MACHINE_CODE")
    if said not in (None, AHEAD, JIT):
        raise ValueError(f"FASTNN_MACHINE_CODE: expected one of {AHEAD}, {JIT}, got {said!r}")
    return said


@functools.cache
def library() -> Library | None:
    """Return the library of machine code made ahead, or None where Numba makes it.

    Raises
    ------
    ValueError
        If ``FASTNN_MACHINE_CODE`` is neither "ahead" nor "jit".
    RuntimeError
        If it is "ahead", and there is none that fits. Unset, a warning says so once, if there is
        one that does not.
    """
    wanted = asked()
    if wanted == JIT:
        return None
    from fastnn.kernels.machine import ahead

    try:
        found = ahead.load(ahead.FOLDER)
        reason = f"there is none in {ahead.FOLDER}; `python -m fastnn.build` makes it"
    except ahead.Refused as error:
        found, reason = None, str(error)
        if wanted is None:
            warn(f"{reason}; so kernels are compiled here, by Numba", RuntimeWarning)
    if found is None and wanted == AHEAD:
        raise RuntimeError(f"FASTNN_MACHINE_CODE: expected machine code made ahead: {reason}")
    return found


def source() -> str:
    """Return where machine code comes from, in words."""
    if found := library():
        return f"made ahead for {found.level.name}, {found.path}"
    if not can_compile():
        return "none: Numba is not installed"
    from fastnn.kernels.codegen import cache

    return f"compiled by Numba, kept in {cache.folder()}"


def can_compile() -> bool:
    """Say whether Numba is installed; it is not loaded."""
    from importlib.util import find_spec

    return find_spec("numba") is not None


def _made(name: str) -> Any:
    """Return what compiles kernels, one of that name among them.

    Raises
    ------
    ModuleNotFoundError
        If Numba is not installed.
    """
    try:
        from fastnn.kernels.machine import made
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("llvmlite", "numba"):
            raise
        raise ModuleNotFoundError(
            f"{name} is to be compiled here, and {error.name} is not installed: pip install numba; "
            "or have NumPy compute all (FASTNN_BACKEND=numpy)",
            name=error.name,
        ) from None
    return made


@functools.cache
def caller(name: str) -> int:
    """Return where a function that Python calls begins: `catalogue.CALLERS` has their names."""
    if found := library():
        return found.address(name)
    return kept.address(name) or int(_made(name).caller_address(name))


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
    if not catalogue.is_added(name):
        symbol, found = catalogue.symbol(name, dtype), library()
        if place := found.address(symbol) if found else kept.address(symbol):
            return place
    return int(_made(name).address(name, dtype))


def is_ready(name: str, dtype: np.dtype[Any] | None = None) -> bool:
    """Say whether nothing is to be compiled for :func:`address`."""
    if not catalogue.is_added(name) and (library() or kept.has(catalogue.symbol(name, dtype))):
        return True
    return bool(_made(name).is_ready(name, dtype))
