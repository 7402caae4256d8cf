"""Numba's lock on compiling: Ctrl-C comes through while it is held or waited for, and forks wait.

Numba is not made to be left at any line: a KeyboardInterrupt in one of LLVM's callbacks is lost,
and one while it takes over new functions leaves it without them. So Ctrl-C is held back while a
kernel is compiled, and let through between Numba's passes, which may raise errors anyhow: the
longest takes about a second. What was being compiled is then compiled anew at its next call.

A child has of all threads the one that forked, and of all locks the state in which they were: if
another thread compiles at that moment, nobody gives its lock back, and what it was about is half
done. So a fork waits until none compiles, as it does for :mod:`logging`; not for longer than
`LONGEST`, in case the compiling thread waits for something that the forking one holds. Then the
child begins with free locks: what was loaded before works.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

from fastnn._utils import interrupts
from fastnn.kernels.codegen.internals import find

POLL = 0.1  # seconds between looks for a Ctrl-C
LONGEST = 60.0  # seconds that a fork waits
AFTER = 0.05  # seconds after a fork, at which Ctrl-C comes again

_FORKS = "a child that is forked while another thread compiles may wait for ever"

# In the order in which threads take them.
_compiler: Any = find("numba.core.compiler_lock", "global_compiler_lock._lock.acquire", _FORKS)
_llvm: Any = find("llvmlite.binding.ffi", "lib._lock._lock.acquire", _FORKS)
LOCKS: list[Any] = [found.__self__ for found in (_compiler, _llvm) if found is not None]


@contextmanager
def compiling() -> Iterator[None]:
    """Let Ctrl-C through where it does no harm while a kernel is compiled in a ``with`` block."""
    # What waits for the lock is told of as if it had it, which is what Numba does too.
    with interrupts.held(), event.trigger_event("numba:compiler_lock"):
        if _compiler is None:
            yield
        else:
            while not _compiler(timeout=POLL):
                interrupts.let_through()
            try:
                yield
            finally:
                _compiler.__self__.release()
        interrupts.let_through()


class _BetweenPasses(event.Listener):
    """Is told of each pass before it begins."""

    def on_start(self, event: Any) -> None:
        interrupts.let_through()

    def on_end(self, event: Any) -> None:
        pass


def _acquired(lock: Any, end: float, interrupt: interrupts.Interrupt) -> bool:
    """Wait for a lock, up to a time or a Ctrl-C; say whether it is this thread's."""
    while not lock.acquire(timeout=min(POLL, max(0.0, end - time.monotonic()))):
        if interrupt.came or time.monotonic() >= end:
            return False
    return True


class _Fork(threading.local):
    """The fork that a thread is about."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.interrupted = False

    def before(self) -> None:
        """Wait until no other thread compiles, and no longer when Ctrl-C comes."""
        self.taken, self.interrupted = [], False
        try:
            # Or it could come between a lock and the note that it is taken.
            with interrupts.held() as interrupt:
                end = time.monotonic() + LONGEST
                for lock in LOCKS:
                    if _acquired(lock, end, interrupt):
                        self.taken.append(lock)
        except KeyboardInterrupt:  # which Python would print and forget here
            self.interrupted = True

    def in_parent(self) -> None:
        """Let others compile."""
        for lock in reversed(self.taken):
            lock.release()
        if self.interrupted:
            over = threading.Event()
            threading.Thread(target=_interrupt_after, args=(over,), daemon=True).start()
            over.set()

    def in_child(self) -> None:
        """Begin with locks that nobody has, but for the thread that forked while it compiled."""
        for lock in LOCKS:
            if lock in self.taken:
                lock.release()
            else:
                lock._at_fork_reinit()


def _interrupt_after(over: threading.Event) -> None:
    """Send Ctrl-C when this hook is over, and those after it, which Python tells nothing of."""
    over.wait()
    time.sleep(AFTER)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


_listen: Any = event.register
_listen("numba:run_pass", _BetweenPasses())
_fork = _Fork()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_fork.before, after_in_parent=_fork.in_parent, after_in_child=_fork.in_child
    )
