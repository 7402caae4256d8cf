"""Ctrl-C that waits until a step is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Interrupt:
    """A Ctrl-C that is held back, if there was one."""

    def __init__(self, handler: Callable[[int, Any], Any] | None = None) -> None:
        self._handler = handler
        self._frame: Any = None
        self._came = False

    def receive(self, number: int, frame: Any) -> None:
        """Keep a signal for later."""
        self._came, self._frame = True, frame

    def release(self) -> None:
        """Let through what came: this raises KeyboardInterrupt, where nobody changed that."""
        if self._came and self._handler is not None:
            self._came = False
            self._handler(signal.SIGINT, self._frame)


_outermost: Interrupt | None = None


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
    _outermost = here = Interrupt(handler)
    try:
        signal.signal(signal.SIGINT, here.receive)
        yield here
    finally:
        _outermost = None
        signal.signal(signal.SIGINT, handler)
        here.release()  # also where an error ends the block, which someone may catch and go on


@contextmanager
def unbroken() -> Iterator[None]:
    """Hold back Ctrl-C also where what is called would let it through between its steps."""
    with held() as interrupt:
        handler, interrupt._handler = interrupt._handler, None
        try:
            yield
        finally:
            interrupt._handler = handler
