"""Functions of the drop-in beside the plain NumPy formulas that they stand for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastnn._bench.calls import scripts
from fastnn._bench.case import Case
from fastnn._bench.families import formulas
from fastnn._bench.measure import Libraries
from fastnn._bench.settings import Settings

TITLE = "calls of the drop-in beside plain NumPy formulas, nanoseconds, by elements of x"
NOTES = formulas.NOTES[:3]
THREADS = "fewest"
table = formulas.table


def cases(dtype: str) -> Iterator[Case]:
    """Yield a case for each function."""
    for name in scripts.PAIRS:
        yield Case(name, name, "", tuple, formulas.nothing, quick=True)


def measure(family: str, case: Case, libraries: Libraries, settings: Settings) -> dict[str, Any]:
    """Time a function and its formula in each size, in turns."""
    name, dtype = case.operation, settings.dtype
    return formulas.timed(
        family,
        case,
        settings,
        lambda n: dict(zip(("fastnn", "NumPy"), scripts.pair(name, n, dtype), strict=True)),
    )
