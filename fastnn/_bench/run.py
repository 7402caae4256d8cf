"""Start the processes that measure, one for each number of threads, and collect their results."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from fastnn._bench.families import FAMILIES
from fastnn._bench.settings import Settings
from fastnn._bench.worker import cases
from fastnn._messages.bars import Progress

# What the libraries read when they are imported.
_VARIABLES = (
    "FASTNN_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class WorkerError(Exception):
    """A measuring process that ended early."""


@contextlib.contextmanager
def _confined(threads: int) -> Iterator[None]:
    """Let processes that are started here run on so many processors.

    JAX has no setting for its threads and goes by this; where there is no such call, it runs
    on all.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _environment(threads: int) -> dict[str, str]:
    environment = os.environ | dict.fromkeys(_VARIABLES, str(threads))
    if threads == 1:
        flags = environment.get("XLA_FLAGS", "")
        environment["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    return environment


def results(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the results of a worker, one a case, as they come."""
    command = [sys.executable, "-m", "fastnn._bench.worker", settings.to_json()]
    with _confined(settings.threads):
        worker = subprocess.Popen(
            command, env=_environment(settings.threads), stdout=subprocess.PIPE, text=True
        )
    assert worker.stdout is not None
    with worker:
        try:
            for line in worker.stdout:
                yield json.loads(line)
        except BaseException:
            worker.kill()
            raise
    if worker.returncode:
        raise WorkerError(f"the measuring process ended with code {worker.returncode}")


def measure(
    families: list[str],
    dtype: str,
    threads: list[int],
    quick: bool,
    rounds: int | None = None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Measure all that is asked for, behind a progress bar.

    A family whose ``THREADS`` is "fewest" or "most" is measured for that number of threads only.

    Returns
    -------
    results : list of dict
        Those of wrong results have "wrong", which says why, in place of times.
    errors : list of str
        What ended measuring processes early.
    """
    counts = {"fewest": threads[:1], "most": threads[-1:], "each": threads}
    runs = [
        Settings(
            [f for f in families if n in counts[getattr(FAMILIES[f], "THREADS", "each")]],
            dtype,
            n,
            quick,
            rounds,
        )
        for n in threads
    ]
    measured, errors = [], []
    total = sum(1 for settings in runs for _ in cases(settings))
    with Progress(total, " cases", leave=False) as bar:
        for settings in runs:
            try:
                for result in results(settings):
                    measured.append(result)
                    bar.advance(1, partial(dict, threads=settings.threads, case=result["case"]))
            except WorkerError as error:
                errors.append(f"{settings.threads} threads: {error}")
    return measured, errors
