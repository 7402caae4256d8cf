"""Keep a helper off the processor of the thread that wakes it, where the system can (Linux).

The system may let a woken thread run where the one that woke it runs, and it then waits for that
one, although another processor has only a thread that looks for work: one of OpenBLAS or OpenMP.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable


def _finder() -> Callable[[], int] | None:
    """Return what tells the processor that this thread runs on, where threads can be kept off."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    # Without giving up the interpreter's lock: it takes as long as a call of Python.
    found: Callable[[], int] | None = getattr(ctypes.PyDLL(None), "sched_getcpu", None)
    return found


_processor = _finder()


class Place:
    """The processors that the thread which makes this may run on, all or all but one."""

    def __init__(self) -> None:
        self._thread = threading.get_native_id()
        self._barred = -1

    def leave(self) -> None:
        """Keep the thread off the processor of the calling thread."""
        here = -1 if _processor is None else _processor()
        if here in (-1, self._barred):
            return
        with contextlib.suppress(OSError):  # not allowed, or not with these processors any more
            allowed = self._allowed()
            if here in allowed and len(allowed) > 1:
                os.sched_setaffinity(self._thread, allowed - {here})
                self._barred = here

    def free(self) -> None:
        """Let the thread run on all its processors again."""
        if self._barred >= 0:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(self._thread, self._allowed())
            self._barred = -1

    def _allowed(self) -> set[int]:
        """Return its processors: what others have set meanwhile counts."""
        barred = {self._barred} if self._barred >= 0 else set()
        return os.sched_getaffinity(self._thread) | barred
