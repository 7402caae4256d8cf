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


def let_through() -> None:
    """Let a held Ctrl-C through at a place from which callers can take back what they have done.

    Such places are in the compiler, which may be at work for a minute inside one step: see
    :mod:`fastnn.kernels.codegen.lock`.
    """
    here = _outermost
    if here is not None and threading.current_thread() is threading.main_thread():
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

    Python delivers signals to the main thread alone; elsewhere this does nothing. Nor does it
    where someone has turned the signal off or handles it outside Python.
    """
    global _outermost
    if threading.current_thread() is not threading.main_thread():
        yield Interrupt()
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


def _after_fork_in_child() -> None:
    """Let Ctrl-C through if the block that held it back was another thread's."""
    global _outermost
    if _outermost is not None and _outermost.outlives_its_thread():
        here, _outermost = _outermost, None
        here.give_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
