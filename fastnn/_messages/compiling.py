"""Says when kernels are being compiled, and counts the time that this takes.

Numba tells its listeners when it compiles, on the thread that does, and nothing when it does not.
While it is not loaded, nobody listens.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

from fastnn._utils.log import say
from fastnn.kernels.plain.arrival import at_arrival

__all__ = ["clock", "spent", "task"]

# Seconds of compiling before the first line; then between lines on two kernels, or on the same.
AFTER, BETWEEN, EVERY = 1.0, 2.0, 10.0
PAUSE = 1.0  # seconds without any, after which the next line is a first one


class _Local(threading.local):
    def __init__(self) -> None:
        self.depth = 0  # of the compiler's lock
        self.begin = self.spent = 0.0
        self.what, self.parts, self.done = "", 0, 0  # of the task


_local = _Local()


class _Clock:
    """Counts, for each thread, the time in which it compiles or waits for another that does."""

    def on_start(self, event: Any) -> None:
        _local.depth += 1
        if _local.depth == 1:
            _local.begin = time.perf_counter()

    def on_end(self, event: Any) -> None:
        _local.depth = max(0, _local.depth - 1)
        if _local.depth == 0:
            _local.spent += time.perf_counter() - _local.begin


def spent() -> float:
    """Return the seconds that this thread has spent with compiling and loading of kernels."""
    return _local.spent


def clock() -> float:
    """Return a time in seconds that stands still while this thread compiles."""
    return time.perf_counter() - spent()


@contextlib.contextmanager
def task(what: str, parts: int) -> Iterator[None]:
    """Name what the kernels compiled inside a ``with`` block are for, and how many they are."""
    _local.what, _local.parts, _local.done = what, parts, 0
    try:
        yield
    finally:
        _local.what = ""


class _Speaker:
    """Speaks of compiling that takes long, from a thread that lives as long as it does.

    Kernels are compiled one at a time: Numba's lock sees to that.
    """

    def __init__(self) -> None:
        self.forget()
        self._introduced = self._closed = False
        self._count = 0
        self._seconds = 0.0
        self._first = 0.0  # when compiling began after a pause
        self._ended = self._said = -math.inf
        self._spoken_of = ""

    def forget(self) -> None:
        """Begin without a thread: in a forked child."""
        self._depth = 0
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def close(self) -> None:
        """Be silent from now on: a thread that prints must not outlive the interpreter."""
        self._closed = True
        self._stop()

    def _stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(1.0)
            self._thread = None

    def on_start(self, event: Any) -> None:
        kernel: Any = getattr(event.data["dispatcher"], "py_func", None)
        module = getattr(kernel, "__module__", None) or ""
        if self._depth == 0 and not module.startswith("fastnn.kernels."):
            return
        self._depth += 1
        if self._depth > 1 or self._closed:
            return
        self._begin = time.perf_counter()
        if self._begin - self._ended > PAUSE:
            self._first = self._begin
        own = kernel.__name__.removeprefix("fastnn_").strip("_")
        name = f"{module.removeprefix('fastnn.kernels.')}.{own}"
        if _local.what:
            name = f"{_local.what}, part {_local.done + 1} of {_local.parts} ({name})"
        self._over = over = threading.Event()
        thread = threading.Thread(
            target=self._wait, args=(name, over), name="fastnn-compiling", daemon=True
        )
        with contextlib.suppress(RuntimeError):  # no more threads to be had
            thread.start()
            self._thread = thread

    def on_end(self, event: Any) -> None:
        if self._depth == 0:
            return
        self._depth -= 1
        if self._depth > 0 or self._closed:
            return
        self._stop()
        self._ended = time.perf_counter()
        self._count += 1
        self._seconds += self._ended - self._begin
        _local.done += 1

    def _wait(self, name: str, over: threading.Event) -> None:
        begin = self._begin
        while not over.wait(max(0.0, self._due(name) - time.perf_counter())):
            self._said, self._spoken_of = time.perf_counter(), name
            say(self._line(name, self._said - begin))

    def _due(self, name: str) -> float:
        """Return when to speak of a kernel."""
        between = EVERY if name == self._spoken_of else BETWEEN
        return max(self._first + AFTER, self._said + between)

    def _line(self, name: str, seconds: float) -> str:
        if self._introduced:
            seconds += self._seconds
            return f"compiling {name}; {self._count} done, {seconds:.0f} s so far"
        self._introduced = True
        from fastnn.kernels.codegen import cache

        if cache.keeps():
            kept = f"once: they are kept in {cache.folder()}"
        else:
            kept = (
                f"in each process anew, as {cache.folder()} cannot be used: set FASTNN_CACHE_DIR "
                "to a folder that can be written"
            )
        return f"compiling kernels for this machine, {kept}; now {name}"


def _listen() -> None:
    """Have Numba tell of what it does."""
    from numba.core import event

    class Listener(event.Listener):
        """Passes on what it is told."""

        def __init__(self, to: _Clock | _Speaker) -> None:
            self._to = to

        def on_start(self, event: Any) -> None:
            self._to.on_start(event)

        def on_end(self, event: Any) -> None:
            self._to.on_end(event)

    register: Any = event.register
    speaker = _Speaker()
    register("numba:compiler_lock", Listener(_Clock()))
    register("numba:compile", Listener(speaker))
    atexit.register(speaker.close)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=speaker.forget)


at_arrival(_listen)
