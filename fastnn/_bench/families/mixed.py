"""Calls that alternate with those of another library, whose threads look for work in between."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from fastnn._bench.case import Case
from fastnn._bench.families.affine import forward_case
from fastnn._bench.families.busy import on_one_thread
from fastnn._bench.layout import Result, microseconds, rivals
from fastnn._bench.measure import Libraries, identity, prepare, without_collector
from fastnn._bench.settings import Settings
from fastnn._bench.timing import Call, Clock, until_idle
from fastnn._bench.training.spec import NotMeasuredError

TITLE = "affine + ReLU in turns with another library, microseconds"
NOTES = (
    "shapes are (N, D, H): samples, inputs, units; beside: each call follows one of the same size",
    "of the other library; medians; in brackets the time over that of fastnn alone",
)
THREADS = "most"
ALONE = "1 thread"
OTHERS = ("NumPy", "PyTorch")
SHAPES = [(768, 1536, 640), (512, 512, 512), (128, 784, 100)]
CLOCK = Clock()
SETTLE = 0.5  # seconds that other threads get at most to go to sleep


def cases(dtype: str) -> Iterator[Case]:
    """Yield the cases."""
    for shape in SHAPES:
        yield forward_case(shape, dtype, quick=True, libraries=("fastnn", *OTHERS))


def in_turns(call: Call, other: Call | None, seconds: float, clock: Clock = CLOCK) -> list[float]:
    """Return the seconds of each call, of which each follows one of `other`.

    The threads of both have what they need when the first one begins, and nothing else runs.
    """
    until_idle(SETTLE, clock)
    times: list[float] = []
    end = clock.now() + seconds
    while len(times) < 2 or clock.now() < end:
        if other is not None:
            other()
        start = clock.now()
        call()
        times.append(clock.now() - start)
    return times[1:]


def measure(family: str, case: Case, libraries: Libraries, settings: Settings) -> dict[str, Any]:
    """Time fastnn alone, on one thread, and in turns with each other library."""
    if settings.threads == 1:
        raise NotMeasuredError("needs two threads or more")
    calls = prepare(case, libraries, settings)
    ours, seconds = calls.calls["fastnn"], 0.5 if settings.quick else 2.0
    runs: dict[str, Callable[[], list[float]]] = {
        "fastnn": partial(in_turns, ours, None, seconds),
        ALONE: on_one_thread(partial(in_turns, ours, None, seconds)),
    }
    for name, other in calls.calls.items():
        if name != "fastnn":
            runs[f"beside {name}"] = partial(in_turns, ours, other, seconds)
    with without_collector():
        times = {name: run() for name, run in runs.items()}
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        **identity(family, case, settings),
        "rounds": len(times["fastnn"]),
        "samples": 0,
        "seconds": {name: {"minimum": min(times[name]), "median": medians[name]} for name in times},
        "ratios": {n: medians[n] / medians["fastnn"] for n in medians if n != "fastnn"},
        "apis": calls.apis,
        "trials": calls.trials,
        "left_out": calls.left_out,
    }


def table(results: Sequence[Result]) -> list[list[str]]:
    """Return the rows of the table, its head first."""
    names = rivals(results)
    rows = [["", "shape", "fastnn us", *names]]
    for one in results:
        seconds = {name: value["median"] for name, value in one["seconds"].items()}
        others = [f"{microseconds(seconds[n])} ({one['ratios'][n]:.2f}x)" for n in names]
        rows.append([one["case"], one["shape"], microseconds(seconds["fastnn"]), *others])
    return rows
