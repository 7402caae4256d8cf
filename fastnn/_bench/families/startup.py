"""A process that imports the library and takes a first training step, code on disk."""

from __future__ import annotations

from collections.abc import Iterator

from fastnn._bench.case import Arrays, Case

TITLE = "start: a process that imports, takes one training step and ends"
NOTES = ("network 784-100-100-100-100-10, batch 128, Adam; compiled kernels on disk",)
# How long a process takes to start hardly depends on its threads.
THREADS = "fewest"


def _expected(dtype: str) -> Arrays:
    return []


def cases(dtype: str) -> Iterator[Case]:
    """Yield the case."""
    yield Case("startup", "process", "network", lambda: (dtype,), _expected, quick=True)
