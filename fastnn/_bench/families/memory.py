"""The most memory that a process takes to train, with each library."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from fastnn._bench.case import Arrays, Case
from fastnn._bench.families.throughput import CHAPTER
from fastnn._bench.layout import Result
from fastnn._bench.measure import Libraries, identity
from fastnn._bench.peers import process
from fastnn._bench.settings import Settings
from fastnn._bench.training.problem import problem
from fastnn._bench.training.spec import NotMeasuredError, Spec

TITLE = "peak memory of training, MB"
NOTES = (
    "each library in a process of its own, two epochs of 40 batches of 128 (16 MB), Adam",
    "in training: what training adds to the process that has imported library and data",
    "NumPy is fastnn's reference: its process has imported fastnn",
)
THREADS = "most"
STEPS = 40


def _nothing() -> Arrays:
    return []


def cases(dtype: str) -> Iterator[Case]:
    """Yield the case."""
    yield Case("training", "Adam", "784-100x4-10, batch 128", tuple, _nothing)


def measure(family: str, case: Case, libraries: Libraries, settings: Settings) -> dict[str, Any]:
    """Train in a process with each library."""
    if importlib.util.find_spec("resource") is None:
        raise NotMeasuredError("this system does not tell the peak memory of a process")
    spec = Spec(CHAPTER, 128, dtype=settings.dtype)
    (given,) = problem(spec, STEPS, 1e-3)
    with tempfile.TemporaryDirectory() as folder:
        process.prepare(folder, spec, x=given.x, t=given.t)
        found = {
            library: process.train(library, "memory", folder, spec)
            for library in process.TRAININGS
            if library in libraries
        }
    return {**identity(family, case, settings), "bytes": found}


def table(results: Sequence[Result]) -> list[list[str]]:
    """Return the rows of the table, its head first."""
    rows = [["library", "", "imported", "in training", "peak"]]
    for result in results:
        for library, found in result["bytes"].items():
            added = found["peak"] - found["imported"]
            sizes = found["imported"], added, found["peak"]
            rows.append([library, "", *(f"{size / 1e6:.0f}" for size in sizes)])
    return rows
