"""Whole scripts, from the start of the process to its end, on the drop-in and on plain NumPy."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fastnn._bench.case import Arrays, Case
from fastnn._bench.layout import Result
from fastnn._bench.measure import Libraries, identity
from fastnn._bench.settings import Settings
from fastnn._bench.starts import chapters, machine_code, process
from fastnn._bench.starts.limits import seconds
from fastnn._bench.starts.process import Usage

TITLE = "whole scripts in the style of the book's chapters 3 to 6, float64: drop-in and plain NumPy"
NOTES = (
    "seconds that pass from the start of a process to its end, imports and loading of data",
    "included; kernels are on disk. Both have the same threads and take turns; medians",
)
THREADS = "most"
ROUNDS = 5


def _nothing() -> Arrays:
    return []


def cases(dtype: str) -> Iterator[Case]:
    """Yield a case for each script."""
    for name in chapters.LEAST:
        yield Case("script", name.replace("_", " "), "", tuple, _nothing, quick=True)


def commands(name: str) -> dict[str, list[str]]:
    """Return what starts a script, by library."""
    script = str(chapters.path_of(name))
    return {
        "fastnn": [sys.executable, "-m", "fastnn", "run", "--as", "dlfs", script],
        "NumPy": [sys.executable, str(chapters.PLAIN), script],
    }


def measure(family: str, case: Case, libraries: Libraries, settings: Settings) -> dict[str, Any]:
    """Run a script both ways, in turns."""
    name = case.label.replace(" ", "_")
    times: dict[str, list[Usage]] = {"fastnn": [], "NumPy": []}
    with tempfile.TemporaryDirectory() as folder:
        chapters.write_data(Path(folder))
        variables = {"FASTNN_DATA_DIR": folder, "FASTNN_NUM_THREADS": str(settings.threads)}
        variables |= {f"{blas}_NUM_THREADS": str(settings.threads) for blas in ("OPENBLAS", "MKL")}
        order = list(commands(name).items())
        for _, command in order:  # kernels and data come from disk then
            process.run(command, variables)
        for _ in range(settings.rounds or ROUNDS):
            for library, command in order:
                times[library].append(process.run(command, variables))
            order.reverse()
    pairs = zip(times["NumPy"], times["fastnn"], strict=True)
    ratio = statistics.median(theirs.wall / ours.wall for theirs, ours in pairs)
    return {
        **identity(family, case, settings),
        "machine_code": machine_code.kind(),
        "wall": {
            library: statistics.median(u.wall for u in used) for library, used in times.items()
        },
        "cpu": {library: statistics.median(u.cpu for u in used) for library, used in times.items()},
        "ratio": ratio,
        "least": chapters.LEAST[name],
        "holds": ratio >= chapters.LEAST[name],
    }


def table(results: Sequence[Result]) -> list[list[str]]:
    """Return the rows of the table, its head first."""
    rows = [["script", "fastnn", "NumPy", "CPU", "CPU", "times as fast", "at least", ""]]
    for result in results:
        wall, cpu = result["wall"], result["cpu"]
        rows.append(
            [
                result["case"],
                *(seconds(times[library]) for times in (wall, cpu) for library in times),
                f"{result['ratio']:.2f}",
                f"{result['least']:.1f}",
                "holds" if result["holds"] else "missed",
            ]
        )
    return [*rows, [f"machine code here: {results[0]['machine_code']}", *[""] * 7]]
