"""Every function of ``ops`` beside its plain NumPy formula, from one element up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from fastnn import ops
from fastnn._bench.calls import agreement, formulas
from fastnn._bench.calls.arguments import SHAPES, arguments
from fastnn._bench.case import Arrays, Case
from fastnn._bench.layout import Result
from fastnn._bench.measure import Libraries, identity, without_collector
from fastnn._bench.settings import Settings
from fastnn._bench.timing import take_turns

SLOWER = 1e-6  # seconds that a call may take longer than the formula
SECONDS = 0.1  # for one function in one size
SAMPLE = 2e-4

TITLE = "calls of ops beside plain NumPy formulas, nanoseconds, by elements of x"
NOTES = (
    "first our call, then how much longer it takes than the formula (negative: how much shorter),",
    f"with ! where that is more than {SLOWER * 1e9:,.0f} ns; both allocate their results and are",
    "Python functions, called with the same arguments in turns; the best of many short rounds",
    "gelu: NumPy has no error function, and takes Python's",
)
THREADS = "fewest"


def nothing() -> Arrays:
    """Return the arrays of a case that has its own."""
    return []


def cases(dtype: str) -> Iterator[Case]:
    """Yield a case for each function."""
    for name in ops.__all__:
        yield Case(name, name, "", tuple, nothing, quick=True)


def measure(family: str, case: Case, libraries: Libraries, settings: Settings) -> dict[str, Any]:
    """Time a function and its formula in each size, in turns."""
    name = case.operation
    agreement.verify(name, settings.dtype)

    def pair(elements: int) -> dict[str, Callable[[], Any]]:
        return {
            library: partial(getattr(module, name), *arguments(name, elements, settings.dtype))
            for library, module in (("fastnn", ops), ("NumPy", formulas))
        }

    return timed(family, case, settings, pair)


def timed(
    family: str,
    case: Case,
    settings: Settings,
    pair: Callable[[int], dict[str, Callable[[], Any]]],
) -> dict[str, Any]:
    """Time our call and the formula, of so many elements, in turns."""
    found = []
    for elements in SHAPES:
        calls = pair(elements)
        for call in calls.values():
            call()
        with without_collector():
            seconds = SECONDS / 5 if settings.quick else SECONDS
            times = take_turns(calls, seconds, sample=SAMPLE)
        best = {library: times.minimum(library) for library in calls}
        slower = best["fastnn"] - best["NumPy"]
        found.append(
            {"elements": elements, **best, "difference": slower, "holds": slower <= SLOWER}
        )
    return {**identity(family, case, settings), "sizes": found}


def table(results: Sequence[Result]) -> list[list[str]]:
    """Return the rows of the table, its head first, how many are marked last."""
    sizes = [one["elements"] for one in results[0]["sizes"]]
    rows = [["function", "", *(f"{n:,}" for n in sizes)]]
    for result in results:
        rows.append([result["case"], "", *map(_cell, result["sizes"])])
    marked = [sum(not result["sizes"][i]["holds"] for result in results) for i in range(len(sizes))]
    total = f"marked: {sum(marked)} of {len(results) * len(sizes)}"
    return [*rows, [total, "", *map(str, marked)]]


def _cell(one: dict[str, Any]) -> str:
    mark = " " if one["holds"] else "!"
    return f"{one['fastnn'] * 1e9:,.0f} {one['difference'] * 1e9:+,.0f}{mark}"
