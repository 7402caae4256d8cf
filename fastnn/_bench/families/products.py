"""Products alone: without Python, and as the affine layer of a checked call."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from fastnn._bench import measure as timing
from fastnn._bench.case import Arrays, Case
from fastnn._bench.measure import Libraries
from fastnn._bench.settings import Settings
from fastnn._bench.training.spec import NotMeasuredError

TITLE = "products"
NOTES = (
    "shapes are (M, K, N), with how many products a time is for; 2 M K N operations counted",
    "product: fastnn's in one compiled call, on one thread; other libraries' in calls from Python",
    "affine: with a bias, from Python",
)

SHAPES = [
    *((n, n, n) for n in (16, 32, 64, 128)), (128, 784, 100), (37, 129, 67),
    *((n, n, n) for n in (512, 1024, 2048)), (768, 1536, 640), (96, 1500, 24),
]  # fmt: skip
QUICK = [(16, 16, 16), (128, 784, 100), (512, 512, 512)]
WORK = 1 << 24  # operations of a time, at least


def _inputs(shape: tuple[int, int, int], dtype: str, times: int) -> tuple[Any, ...]:
    m, k, n = shape
    rng = np.random.default_rng(0)
    x, W = (rng.standard_normal(s).astype(dtype) for s in ((m, k), (k, n)))
    return (x, W, times) if times else (x, W, np.ones(n, dtype))


def _expected(x: Any, W: Any, last: Any) -> Arrays:
    y = x.astype(np.float64) @ W
    return [y if isinstance(last, int) else y + last]


def cases(dtype: str) -> Iterator[Case]:
    """Yield the cases."""
    for shape in SHAPES:
        work = 2 * float(np.prod(shape))
        times = max(1, round(WORK / work))
        for operation, label, count in (("products", "product", times), ("affine", "affine", 0)):
            yield Case(
                operation,
                label,
                f"{max(1, count)} of {shape}",
                partial(_inputs, shape, dtype, count),
                _expected,
                flops=max(1, count) * work,
                quick=shape in QUICK,
            )


def measure(family: str, case: Case, libraries: Libraries, settings: Settings) -> dict[str, Any]:
    """Measure as any other case, products in one compiled call on one thread only."""
    if case.operation == "products" and settings.threads > 1:
        raise NotMeasuredError("the compiled loop runs on one thread")
    return timing.measure(family, case, libraries, settings)
