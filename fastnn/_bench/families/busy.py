"""Training on two or more threads while another process keeps one processor busy."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from fastnn import config
from fastnn._bench.case import Case
from fastnn._bench.families.throughput import CHAPTER, training
from fastnn._bench.layout import Result, microseconds, rivals
from fastnn._bench.measure import Libraries, prepare, result, timed
from fastnn._bench.settings import Settings
from fastnn._bench.training.spec import NotMeasuredError, Spec

_Result = TypeVar("_Result")

TITLE = "training beside a busy process, microseconds a step"
NOTES = (
    "the other process runs on the same processors, on one at a time, without a pause",
    "medians; in brackets the time over that of fastnn, median over rounds",
)
THREADS = "most"
ALONE = "fastnn, 1 thread"
STEPS = 40

# Ends by itself if the process that started it is no more.
LOOP = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(10**6):
        pass
"""


@contextlib.contextmanager
def busy_process() -> Iterator[subprocess.Popen[bytes]]:
    """Keep a processor busy meanwhile."""
    process = subprocess.Popen([sys.executable, "-c", LOOP])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def on_one_thread(call: Callable[[], _Result]) -> Callable[[], _Result]:
    """Return what calls with one thread of fastnn's."""

    def run() -> _Result:
        before = config.get_num_threads()
        config.set_num_threads(1)
        try:
            return call()
        finally:
            config.set_num_threads(before)

    return run


def cases(dtype: str) -> Iterator[Case]:
    """Yield the case."""
    yield training(
        "Adam",
        "784-100x4-10, batch 128",
        Spec(CHAPTER, 128, dtype=dtype),
        STEPS,
        libraries=("fastnn", "NumPy", "PyTorch", "JAX"),
    )


def measure(family: str, case: Case, libraries: Libraries, settings: Settings) -> dict[str, Any]:
    """Time all beside the busy process, fastnn on one thread too."""
    if settings.threads == 1:
        raise NotMeasuredError("needs two threads or more")
    calls = prepare(case, libraries, settings)
    calls.add(ALONE, libraries["fastnn"].training(*case.inputs()))
    calls.calls[ALONE] = on_one_thread(calls.calls[ALONE])
    calls.calls[ALONE]()
    with busy_process():
        times = timed(settings, calls.calls)
    return result(family, case, settings, calls, times)


def table(results: Sequence[Result]) -> list[list[str]]:
    """Return the rows of the table, its head first."""
    names = rivals(results)
    rows = [["", "network", "fastnn us", *names]]
    for one in results:
        seconds = {name: value["median"] / STEPS for name, value in one["seconds"].items()}
        others = [f"{microseconds(seconds[n])} ({one['ratios'][n]:.2f}x)" for n in names]
        rows.append([one["case"], one["shape"], microseconds(seconds["fastnn"]), *others])
    return rows
