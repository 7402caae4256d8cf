"""What a checked call takes above its arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from fastnn import ops, optimizers
from fastnn._bench.calls.arguments import arguments, module, with_outputs
from fastnn._bench.case import Arrays, Case
from fastnn._bench.layout import Result
from fastnn._bench.measure import Libraries, identity, without_collector
from fastnn._bench.settings import Settings
from fastnn._bench.timing import take_turns

SECONDS, SAMPLE = 0.2, 2e-4
TITLE = "a checked call above its arithmetic, nanoseconds"
NOTES = (
    "arrays of one element (1 x 1 x 1), whose arithmetic takes some nanoseconds: all of the call",
    "counts; with out=, dx= and so on; x @ W: of 1 x 1 arrays; the best of many short rounds, in",
    "which both take turns",
)
THREADS = "fewest"
SCALE = "x @ W"

# Seconds, forward and backward, by the module of `ops`.
LIMITS = {
    "affine": (1.5e-6, 3e-6),
    "batchnorm": (3e-6, 3e-6),
    "activations": (1.5e-6, 1.5e-6),
    "losses": (1.5e-6, 1.5e-6),
}
UPDATES = {1: 2e-6, 10: 4e-6}  # by how many arrays


def _nothing() -> Arrays:
    return []


def cases(dtype: str) -> Iterator[Case]:
    """Yield a case for each function and each optimizer that has a limit."""
    for name in ops.__all__:
        if module(name) in LIMITS:
            yield Case(name, f"ops.{name}", "", tuple, _nothing, quick=True)
    for count in UPDATES:
        for kind in optimizers.OPTIMIZERS.values():
            label = f"{kind.__name__}.update"
            shape = f"{count} array" + "s" * (count > 1)
            yield Case(kind.__name__, label, shape, tuple, _nothing, samples=count, quick=True)


def _update(name: str, count: int, dtype: str) -> Callable[[], object]:
    params = {f"W{i}": np.ones(1, dtype) for i in range(count)}
    grads = {key: np.ones_like(p) for key, p in params.items()}
    return partial(getattr(optimizers, name)().update, params, grads)


def measure(family: str, case: Case, libraries: Libraries, settings: Settings) -> dict[str, Any]:
    """Time a call, in turns with NumPy's product."""
    name, dtype = case.operation, settings.dtype
    if case.samples:
        limit, call = UPDATES[case.samples], _update(name, case.samples, dtype)
    else:
        limit = LIMITS[module(name)][name.endswith("_backward")]
        call = with_outputs(name, 1, dtype)
    x, W, _ = arguments("affine", 1, dtype)
    calls: dict[str, Callable[[], object]] = {"fastnn": call, SCALE: partial(np.matmul, x, W)}
    for each in calls.values():
        each()
    with without_collector():
        seconds = SECONDS / 5 if settings.quick else SECONDS
        times = take_turns(calls, seconds, sample=SAMPLE)
    best = times.minimum("fastnn")
    return {
        **identity(family, case, settings),
        "seconds": {
            key: {"minimum": times.minimum(key), "median": times.median(key)} for key in calls
        },
        "limit": limit,
        "holds": best <= limit,
    }


def table(results: Sequence[Result]) -> list[list[str]]:
    """Return the rows of the table, its head first, how many hold last."""
    rows = [["call", "", "fastnn", SCALE, "at most", ""]]
    for result in results:
        times = (f"{result['seconds'][key]['minimum'] * 1e9:,.0f}" for key in ("fastnn", SCALE))
        verdict = "holds" if result["holds"] else "missed"
        rows.append(
            [result["case"], result["shape"], *times, f"{result['limit'] * 1e9:,.0f}", verdict]
        )
    held = sum(result["holds"] for result in results)
    return [*rows, [f"{held} of {len(results)} hold", "", "", "", "", ""]]
