"""What the benchmarks share: implementations and dtypes, data, the clock, paired ratios.

A module has functions that make a case, from its sizes and last a dtype, into a call without
arguments, and classes that time these calls. A case draws its data from a generator of its
own, writes to arrays that exist beforehand, and can be called any number of times without a
change in the work: results that earlier calls left make no later one cheaper or dearer.
"""

import functools
import statistics
import time
from contextlib import contextmanager

import numpy as np
from numba.core.registry import cpu_target

import fastnn
from fastnn import config

# Numba sets itself up before its first call, for a third of a second: once, in the process that
# those of single benchmarks are forked from, instead of in each of these.
cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()

# glibc maps new pages for each large array, until the first of up to 32 MB has been freed: from
# then on it keeps memory for those that are no larger. Without this, what happened to come first
# would decide how long NumPy's temporaries take, at some commits and not at others.
np.empty(31 << 20, np.uint8)

BACKENDS = {"fastnn": "numba", "numpy": "numpy"}

IMPLS = list(BACKENDS)
DTYPES = ["float32", "float64"]


def arrays(dtype, *shapes):
    """Return normally distributed arrays, the same ones each time."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, dtype=dtype) for shape in shapes]


def _lacks(error):
    """Say whether an error is that fastnn has no such module, name or argument."""
    if isinstance(error, ImportError):
        return (error.name or "").partition(".")[0] == "fastnn"
    if isinstance(error, AttributeError):
        name = getattr(error.obj, "__name__", "") or type(error.obj).__module__
        return name.partition(".")[0] == "fastnn"
    return "unexpected keyword argument" in str(error)


def skip(reason):
    """End a benchmark without a result and without a failure."""
    # Not at the top: perf_check runs cases where asv is not installed.
    from asv_runner.benchmarks.mark import SkipNotImplemented

    raise SkipNotImplemented(reason)


@contextmanager
def skipped_where_absent():
    """Give a benchmark no result, instead of a failure, on commits older than what it calls."""
    try:
        yield
    except (AttributeError, ImportError, TypeError) as error:
        if not _lacks(error):
            raise
        skip(str(error))


_preparing = 0.0  # seconds spent in `ready`


@functools.lru_cache(maxsize=1)
def ready(impl, make, *args):
    """Return the call of the case ``make(*args)``, compiled; `impl` runs from here on.

    Only the first of many equal calls does anything, in time that :func:`clock` leaves out.
    """
    global _preparing
    start = time.perf_counter()
    config.set_backend(BACKENDS[impl])
    with skipped_where_absent():
        call = make(*args)
        call()
    _preparing += time.perf_counter() - start
    return call


def clock():
    """Return the seconds that have passed, but for those spent in :func:`ready`."""
    return time.perf_counter() - _preparing


class Timed:
    """How a case is timed: by up to 100 samples in 0.2 s, five at least, of ten calls in a row.

    There is no ``setup``: asv would run it again before every single call, which is longer
    than what is measured. Cases are made by :func:`ready` instead, at the first call. That
    would be taken for a slow one if asv chose ``number`` by it, so it is given.
    """

    number = 10
    repeat = (5, 100, 0.2)
    rounds = 1
    timer = staticmethod(clock)


def _seconds(call, number):
    start = time.perf_counter()
    for _ in range(number):
        call()
    return time.perf_counter() - start


def _ratio(ours, theirs, seconds=0.15):
    """Return the median of paired ratios of the times of two calls.

    Each pair is timed back to back, in turns the one and the other first, so that a change in
    the machine's load meets both.
    """
    calls = ours, theirs
    for call in calls:  # compiles
        call()
    least = min(min(_seconds(call, 1) for _ in range(3)) for call in calls)
    number = max(1, round(1e-3 / least))
    ratios = []
    end = time.perf_counter() + seconds
    while len(ratios) < 8 or time.perf_counter() < end:
        order = calls if len(ratios) % 2 else calls[::-1]
        took = {call: _seconds(call, number) for call in order}
        ratios.append(took[ours] / took[theirs])
    return _rounded(statistics.median(ratios))


def _rounded(ratio):
    return float(f"{ratio:.4g}")


def _on(impl, call):
    def run():
        with config.use_backend(BACKENDS[impl]):
            call()

    return run


def over_numpy(make):
    """Return the time of a case's call on the kernels over its time on NumPy."""
    with skipped_where_absent():
        call = make()
        call()
    return _ratio(*(_on(impl, call) for impl in IMPLS))


def over_limit(make, unit, amount, dtype):
    """Return the time of a case's call over that which its work takes at the machine's limit."""
    with skipped_where_absent():
        from fastnn._bench import limits

        call = make()
        call()
    limit = limits.arithmetic(dtype, 1) if unit == "flops" else limits.copy(amount, 1)
    # There are several ways to copy; the fastest is the limit.
    fastest = min(limit.variants, key=lambda v: min(_seconds(v.run, 1) for _ in range(10)))
    return _rounded(_ratio(call, fastest.run) * limit.work / amount)


def over_one_thread(make, threads):
    """Return the time of a case's call on so many threads over its time on one."""

    def on(count):
        call = make()  # a network of its own: one plans anew when the count changes

        def run():
            fastnn.set_num_threads(count)
            call()

        return run

    with skipped_where_absent():
        calls = on(threads), on(1)
        calls[0]()
    return _ratio(*calls)
