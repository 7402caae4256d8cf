"""When work is worth cutting, into how many pieces, and whether a region may start at all.

Numba's pool runs the regions. Two of its layers have faults that end the process, so they
are kept away from here: GNU OpenMP dies in a forked child of a process that has used it, and
the workqueue layer aborts when two threads start a region at once. Where a region may not
start, the work runs serial.
"""

from __future__ import annotations

import functools
import os
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numba

# Work per chunk, in elements of a cheap elementwise loop. A region costs about 3 us with the
# OpenMP layer, the time of some 30,000 such elements in the first-level cache. With 2**16 here
# a step of a network 784-32-10 on 32 samples took 0.26 ms on two threads, with 2**17 0.14 ms.
GRAIN = 1 << 17

# A region waits for all its threads, also for one that another process keeps from running,
# and that takes milliseconds: a step of a network 784-100x4-10, 0.8 ms on two idle cores and
# 1.0 ms on one thread, takes up to 24 ms where both cores are busy. A region that is late by
# more than its work explains therefore turns the next ones serial, for a pause that doubles
# while regions go on to be late. In nanoseconds.
LATE, LATE_PER_WORK = 500_000, 0.3
FIRST_PAUSE, LONGEST_PAUSE = 50_000_000, 1_600_000_000


def _positive(name: str, value: object) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"{name}: expected a whole number from 1 up, got {value!r}")
    return number


def _available() -> int:
    """Return the size of Numba's pool, which follows the CPU affinity."""
    return int(numba.config.NUMBA_NUM_THREADS)


_num_threads = min(
    _positive("FASTNN_NUM_THREADS", os.environ.get("FASTNN_NUM_THREADS", _available())),
    _available(),
)


def set_num_threads(n: int) -> None:
    """Set how many threads a kernel may use, in all Python threads of this process.

    Parameters
    ----------
    n : int
        At least 1. More than the CPUs that this process may use counts as all of them.
        The start value is that number, or the environment variable ``FASTNN_NUM_THREADS``.

    Raises
    ------
    ValueError
        If `n` is not a whole number from 1 up.
    """
    global _num_threads
    _num_threads = min(_positive("n", n), _available())


def get_num_threads() -> int:
    """Return how many threads a kernel may use."""
    return _num_threads


def chunks(work: int) -> int:
    """Return into how many pieces to cut `work`, counted in cheap elements."""
    if work < 2 * GRAIN or _num_threads == 1:
        return 1
    return min(_num_threads, work // GRAIN)


def worth(pieces: int, work: int) -> int:
    """Return how many of a call's pieces a part of it is worth that is only so much work."""
    return min(pieces, 1 + work // GRAIN)


_layer: str | None = None  # the threading layer, known once a region has run
_starting = threading.Lock()
_forked = False


def _after_fork_in_child() -> None:
    global _starting, _forked
    _starting = threading.Lock()
    try:
        # Numba starts its pool when it loads a kernel, not when the first region runs.
        _forked = numba.threading_layer() == "omp"
    except ValueError:  # no pool yet: the child starts its own
        _forked = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


@functools.cache
def _warn_forked() -> None:
    warnings.warn(
        "this process was forked from one that had used OpenMP threads: kernels run on one "
        "thread here; start processes with the 'spawn' method to use more",
        RuntimeWarning,
        stacklevel=4,
    )


_serial_until = 0
_pause = FIRST_PAUSE


def _took(elapsed: int, now: int, work: int) -> None:
    """Take note of how long a region took."""
    global _serial_until, _pause
    if elapsed > LATE + LATE_PER_WORK * work:
        _serial_until = now + _pause
        _pause = min(2 * _pause, LONGEST_PAUSE)
    else:
        _pause = FIRST_PAUSE


def run(kernel: Callable[..., None], args: tuple[Any, ...], work: int) -> None:
    """Call the kernel, cut into as many pieces as `work` is worth and the machine allows."""
    global _layer
    pieces = chunks(work)
    if pieces > 1 and _forked:
        _warn_forked()
    if pieces == 1 or _forked or (start := time.perf_counter_ns()) < _serial_until:
        kernel(*args, 1)
    elif _layer in ("omp", "tbb"):
        kernel(*args, pieces)
        end = time.perf_counter_ns()
        _took(end - start, end, work)
    elif _starting.acquire(blocking=False):
        try:
            kernel(*args, pieces)
            _layer = numba.threading_layer()
        finally:
            _starting.release()
    else:
        kernel(*args, 1)
