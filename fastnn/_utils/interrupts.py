"""Ctrl-C that waits until a step is whole, or until what was done of it can be taken back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Interrupt:
    """A Ctrl-C that is held back, if there was one: then `came`."""

    def __init__(self, handler: Callable[[int, Any], Any] | None = None) -> None:
        self._handler = handler
        self._thread = threading.get_ident()
        self._frame: Any = None
        self.came = False
        self.until_the_end = 0  # how many blocks ask for that

    def receive(self, number: int, frame: Any) -> None:
        """Keep a signal for later."""
        self.came, self._frame = True, frame

    def release(self) -> None:
        """Let through what came: this raises KeyboardInterrupt, where nobody changed that."""
        if self.came and self._handler is not None and not self.until_the_end:
            self.came = False
            self._handler(signal.SIGINT, self._frame)

    def outlives_its_thread(self) -> bool:
        """Say whether this is a fork, made by another thread than the one that holds back."""
        return self._thread != threading.get_ident()

    def give_back(self) -> None:
        """Let signals come as they did before."""
        signal.signal(signal.SIGINT, self._handler)


_outermost: Interrupt | None = None


class _Local(threading.local):
    told: Interrupt | None = None  # of a thread that is told of Ctrl-C
    holds = False


_local = _Local()


@contextmanager
def told(by: Interrupt) -> Iterator[None]:
    """Let this thread, which is not the main one, end as by Ctrl-C once `by` has received it.

    KeyboardInterrupt comes at the end of a block of :func:`held`, or where :func:`let_through` is
    called in one.
    """
    before, _local.told = _local.told, by
    try:
        yield
    finally:
        _local.told = before


def for_thread() -> Interrupt:
    """Return what :func:`told` takes; its `receive` may be called by any thread."""
    return Interrupt(signal.default_int_handler)


def let_through() -> None:
    """Let a held Ctrl-C through at a place from which callers can take back what they have done.

    Such places are in the compiler, which may be at work for a minute inside one step: see
    :mod:`fastnn.kernels.codegen.lock`.
    """
    if threading.current_thread() is threading.main_thread():
        here = _outermost
    else:
        here = _local.told if _local.holds else None
    if here is not None:
        here.release()


@contextmanager
def held_to_the_end() -> Iterator[None]:
    """Hold back Ctrl-C inside a ``with`` block, also where what is called would let it through."""
    with held() as here:
        here.until_the_end += 1
        try:
            yield
        finally:
            here.until_the_end -= 1


@contextmanager
def held() -> Iterator[Interrupt]:
    """Hold back Ctrl-C inside a ``with`` block; the outermost one lets it through at its end.

    Python delivers signals to the main thread alone; in others this does nothing, but in those that
    are :func:`told` of them. Nor does it where someone has turned the signal off or handles it
    outside Python.
    """
    global _outermost
    if threading.current_thread() is not threading.main_thread():
        with _held_in_thread() as here:
            yield here
        return
    if _outermost is not None:
        yield _outermost
        return
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        yield Interrupt()
        return
    here = Interrupt(handler)
    try:
        signal.signal(signal.SIGINT, here.receive)
        _outermost = here
        yield here
    finally:
        _outermost = None
        here.give_back()
        here.release()  # also where an error ends the block, which someone may catch and go on


@contextmanager
def _held_in_thread() -> Iterator[Interrupt]:
    here = _local.told
    if here is None or _local.holds:
        yield here or Interrupt()
        return
    _local.holds = True
    try:
        yield here
    finally:
        _local.holds = False
        here.release()


def _after_fork_in_child() -> None:
    """Let Ctrl-C through if the block that held it back was another thread's."""
    global _outermost
    if _outermost is not None and _outermost.outlives_its_thread():
        here, _outermost = _outermost, None
        here.give_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
