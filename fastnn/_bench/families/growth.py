"""How the time of an epoch grows with the samples and with the parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from fastnn._bench.case import Case
from fastnn._bench.families.throughput import CHAPTER, training
from fastnn._bench.layout import Result, number, rivals
from fastnn._bench.training.spec import Spec

TITLE = "growth of an epoch with samples and with parameters"
NOTES = (
    "batch 128, Adam; ms an epoch, in brackets picoseconds for each sample and parameter:",
    "the same down a column where time grows in proportion",
)
BATCH = 128
STEPS = (10, 20, 40, 80, 160)
UNITS = (32, 64, 128, 256, 512, 1024)
LIBRARIES = ("fastnn", "PyTorch", "JAX")


def parameters(widths: Sequence[int]) -> int:
    """Return the number of weights and biases."""
    return sum((d + 1) * h for d, h in pairwise(widths))


def cases(dtype: str) -> Iterator[Case]:
    """Yield the cases; the shape is the number of samples or parameters."""
    for steps in STEPS:
        spec = Spec(CHAPTER, BATCH, dtype=dtype)
        shape = f"{steps * BATCH:,} samples of {parameters(CHAPTER):,} parameters"
        yield training("samples", shape, spec, steps, libraries=LIBRARIES)
    for units in UNITS:
        widths = 784, units, units, 10
        shape = f"{20 * BATCH:,} samples of {parameters(widths):,} parameters"
        spec = Spec(widths, BATCH, dtype=dtype)
        yield training("parameters", shape, spec, 20, libraries=LIBRARIES)


def sizes(result: Result) -> tuple[int, int]:
    """Return the samples and the parameters of a result."""
    samples, _, _, count, _ = result["shape"].replace(",", "").split()
    return int(samples), int(count)


def table(results: Sequence[Result]) -> list[list[str]]:
    """Return the rows of the table, its head first."""
    names = ["fastnn", *rivals(results)]
    rows = [["with", "", *names]]
    for result in results:
        samples, count = sizes(result)
        times = [result["seconds"][name]["minimum"] for name in names]
        cells = [f"{number(s * 1e3)} ({number(s * 1e12 / samples / count)})" for s in times]
        rows.append([result["case"], result["shape"], *cells])
    return rows
