"""How many threads there are, into how many pieces a call is cut, and who helps.

The threads are Python's, so that they start and stop as others do; what they run is
:func:`fastnn.kernels.threading.pool.serve`, without the interpreter's lock. They start with the
first call that is worth sharing, and anew in a forked child.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastnn._utils.environment import variable
from fastnn.kernels.machine import code, native
from fastnn.kernels.plain import table
from fastnn.kernels.threading.apart import Place
from fastnn.kernels.threading.cpus import available
from fastnn.kernels.tuning import COMMON

GRAIN = COMMON.grain  # work of a chunk, in elements of a cheap elementwise loop

# What is lost to waiting for a helper that another process keeps from running (see `tuning`).
LATE, REST, LONGEST_REST = COMMON.late, COMMON.rest, COMMON.longest_rest
CREDIT, LONGEST_SERIAL = COMMON.credit, COMMON.longest_serial

PIECE, ELEMENTS_PER_NS = COMMON.piece, COMMON.elements_per_ns
HURRY_TIME = COMMON.hurry_time

MOST_KINDS = 1000  # of calls to remember


def _positive(name: str, value: object) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"{name}: expected an integer of at least 1, got {value!r}")
    return number


_available = available()
_num_threads = min(
    _positive("FASTNN_NUM_THREADS", variable("FASTNN_NUM_THREADS") or _available), _available
)
table.set_helpers(_num_threads - 1)


def set_num_threads(n: int) -> None:
    """Set how many threads a kernel may use, in all Python threads of this process.

    Parameters
    ----------
    n : int
        At least 1. More than the CPUs that this process may use (its affinity, and the quota
        of its container) counts as all of them. The start value is that number, or the
        environment variable ``FASTNN_NUM_THREADS``.

    Raises
    ------
    ValueError
        If `n` is not an integer of at least 1.
    """
    global _num_threads
    _num_threads = min(_positive("n", n), _available)
    table.set_helpers(_num_threads - 1)


def get_num_threads() -> int:
    """Return how many threads a kernel may use."""
    return _num_threads


def chunks(work: int) -> int:
    """Return how many threads `work` is worth, counted in cheap elements."""
    if work < 2 * GRAIN or _num_threads == 1:
        return 1
    return min(_num_threads, work // GRAIN)


_starting = threading.Lock()
_helpers: list[threading.Thread] = []
_sleeping: dict[int, threading.Lock] = {}  # what a helper waits for, by its index
_places: dict[int, Place] = {}  # where it may run; changed by itself, or by who wakes it
_closed = False
_LATEST_END = 10.0  # seconds that an ending interpreter waits for helpers, which take milliseconds


def _serve() -> Callable[[int, int], int]:
    """Return what helpers run."""
    return native.function("serve", 2)


def prepare() -> None:
    """Compile what helpers run, here: a fork while they do it would leave locks taken."""
    _serve()
    table.set_distribute(code.address("distribute"))


def _help(index: int) -> None:
    """What a helper does: serve for as long as there is work, then sleep until woken."""
    serve = _serve()
    place = _places[index] = Place()
    hurry_until = 0
    wakeup = threading.Lock()
    wakeup.acquire()
    while not _closed:
        hurries = time.perf_counter_ns() < hurry_until and not table.is_awake(index)
        if not hurries:
            place.free()
        if serve(index, hurries):
            hurry_until = time.perf_counter_ns() + HURRY_TIME
        _sleeping[index] = wakeup
        # Who wants helpers awake says so before it looks who sleeps; if it has found this one,
        # there is a release to be taken.
        stays = table.is_awake(index) and _sleeping.pop(index, None) is not None
        if not _closed and not stays:
            wakeup.acquire()


def _start(count: int) -> None:
    """Start helpers until there are so many, if none is being started and the system can."""
    if _closed or not _starting.acquire(blocking=False):
        return
    try:
        prepare()
        while len(_helpers) < count:
            index = len(_helpers)
            helper = threading.Thread(
                target=_help, args=(index,), name=f"fastnn-{index + 1}", daemon=True
            )
            helper.start()
            _helpers.append(helper)
    except RuntimeError:  # no more threads to be had: the caller does without
        pass
    finally:
        _starting.release()


def wake(count: int) -> None:
    """Start or wake the first so many helpers."""
    if len(_helpers) < count:
        _start(count)
    for index in range(count):
        wakeup = _sleeping.pop(index, None)
        if wakeup is not None:
            _places[index].leave()
            wakeup.release()


_wanting = threading.RLock()  # a signal handler may come while its own thread holds it
_wanted: list[int] = []  # how many helpers each `awake` that is under way asks for


def _want(count: int, add: bool) -> None:
    with _wanting:
        (_wanted.append if add else _wanted.remove)(count)
        table.keep_awake(max(_wanted, default=0))


@contextmanager
def awake(count: int) -> Iterator[None]:
    """Wake so many helpers, and keep them looking for work inside a ``with`` block."""
    if count == 0:
        yield
        return
    _want(count, True)
    try:
        wake(count)
        yield
    finally:
        _want(count, False)


def _after_fork_in_child() -> None:
    """Begin without helpers: threads do not outlive a fork."""
    global _starting, _wanting
    _starting, _wanting = threading.Lock(), threading.RLock()
    _wanted.clear()
    _helpers.clear()
    _sleeping.clear()
    _places.clear()
    table.reset()
    table.set_helpers(_num_threads - 1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


@atexit.register
def _close() -> None:
    """End the helpers before the interpreter ends: compiled code must not return into it."""
    global _closed
    _closed = True
    end = time.monotonic() + _LATEST_END
    for helper in _helpers:
        # It looks for work for a while before it comes back, longer where others have its core.
        while helper.is_alive() and time.monotonic() < end:
            wake(len(_helpers))
            helper.join(0.001)


_Kind = tuple[Any, int]  # of calls: a kernel, and its work

_serial_until = 0
_lost = -CREDIT  # what shared calls have lost lately; below 0, what they have gained
_fastest: dict[_Kind, int] = {}  # of the shared calls of a kind


def _took(kind: _Kind, threads: int, elapsed: int, now: int) -> None:
    """Take note of how long a shared call took; where sharing has lost too much, have a rest.

    One thread alone takes as long as all together take at best, times their number, or less.
    """
    global _serial_until, _lost
    fastest = min(elapsed, _fastest.get(kind, elapsed))
    _lost = max(-CREDIT, _lost + elapsed - threads * fastest)
    if _lost > LATE:
        _serial_until = now + min(REST * _lost, LONGEST_SERIAL)
        _lost = 0
        fastest += fastest // 8  # the machine may have become slower for good
    if len(_fastest) >= MOST_KINDS:
        _fastest.clear()
    _fastest[kind] = fastest


def pieces(kind: _Kind, threads: int) -> int:
    """Return into how many pieces to cut a call that is worth so many threads.

    A long call is cut into pieces of about `PIECE` nanoseconds, by what the fastest of its kind
    took, or by its work if it is the first: a thread that comes late holds up one of them.
    """
    _, work = kind
    expected = _fastest.get(kind) or work // (ELEMENTS_PER_NS * threads)
    return min(threads * max(1, -(-expected // PIECE)), table.MOST_CHUNKS)


def run(kernel: Callable[..., None], args: tuple[Any, ...], work: int) -> None:
    """Call the kernel, cut into as many pieces as `work` is worth and the machine allows."""
    threads = chunks(work)
    if threads == 1 or (start := time.perf_counter_ns()) < _serial_until:
        kernel(*args, 1)
        return
    kind = kernel, work
    wake(threads - 1)
    kernel(*args, pieces(kind, threads))
    end = time.perf_counter_ns()
    _took(kind, threads, end - start, end)
