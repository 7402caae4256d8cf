"""Which implementation runs: the compiled kernels or the NumPy reference; how many threads.

The start value of the backend is the environment variable ``FASTNN_BACKEND`` (``numba`` or
``numpy``; when unset ``numba``, but ``numpy`` under ``NUMBA_DISABLE_JIT``), that of the threads
``FASTNN_NUM_THREADS``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import SupportsIndex

from fastnn._utils import validation as numbers
from fastnn._utils.environment import variable
from fastnn.kernels.calls.routine import enable
from fastnn.kernels.threading import threads
from fastnn.kernels.threading.threads import set_num_threads

__all__ = [
    "get_backend",
    "get_num_threads",
    "limit_num_threads",
    "set_backend",
    "set_num_threads",
    "use_backend",
]

BACKENDS = ("numba", "numpy")


def _checked(name: str, backend: str) -> str:
    if backend not in BACKENDS:
        raise ValueError(f"{name}: expected one of {', '.join(BACKENDS)}, got {backend!r}")
    return backend


def _compiles() -> bool:
    """Say whether Numba would compile, without loading it."""
    if numba := sys.modules.get("numba"):  # a program may have set what it goes by
        return not getattr(numba.config, "DISABLE_JIT", False)
    try:
        return not int(variable("NUMBA_DISABLE_JIT") or 0)
    except ValueError:  # Numba warns of it, and compiles
        return True


# Without compilation the kernels are of no use: they hold machine instructions.
_DEFAULT = "numba" if _compiles() else "numpy"
_backend = _checked("FASTNN_BACKEND", variable("FASTNN_BACKEND") or _DEFAULT)
enable(_backend == "numba")


def get_backend() -> str:
    """Return ``"numba"`` (compiled kernels) or ``"numpy"`` (reference)."""
    return _backend


def set_backend(backend: str) -> None:
    """Choose what runs from here on, in all threads of this process.

    Parameters
    ----------
    backend : {"numba", "numpy"}

    Raises
    ------
    ValueError
        If `backend` is neither.
    """
    global _backend
    _backend = _checked("backend", backend)
    enable(_backend == "numba")


@contextmanager
def use_backend(backend: str) -> Iterator[None]:
    """Choose what runs inside a ``with`` block, in all threads of this process.

    Parameters
    ----------
    backend : {"numba", "numpy"}

    Raises
    ------
    ValueError
        If `backend` is neither.
    """
    before = get_backend()
    set_backend(backend)
    try:
        yield
    finally:
        set_backend(before)


_limit: ContextVar[int | None] = ContextVar("limit of threads", default=None)


def get_num_threads() -> int:
    """Return how many threads a kernel may use that is called here."""
    most, n = _limit.get(), threads.get_num_threads()
    return n if most is None else min(n, most)


def limit() -> int | None:
    """Return the number of threads that a ``with`` block around this has, if there is one."""
    return _limit.get()


@contextmanager
def limit_num_threads(n: SupportsIndex | None) -> Iterator[None]:
    """Let kernels use so many threads at most inside a ``with`` block.

    This holds for what the Python thread calls that the block is in, and for no other; several may
    each have a limit of their own. The number that :func:`set_num_threads` sets is for all of them.
    In a block inside another the lower limit holds.

    Parameters
    ----------
    n : int or None
        At least 1. None: as many as outside of the block.

    Raises
    ------
    TypeError, ValueError
        If `n` is not as above.

    Notes
    -----
    An optimizer's update that is called from Python, not by a training program, is not limited.

    Examples
    --------
    >>> from fastnn import config
    >>> with config.limit_num_threads(1):
    ...     config.get_num_threads()
    1
    """
    if n is None:
        yield
        return
    n, before = numbers.integer("n", n, 1), _limit.get()
    token = _limit.set(n if before is None else min(n, before))
    try:
        yield
    finally:
        _limit.reset(token)
