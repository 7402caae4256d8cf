"""The task that SimpleChains.jl publishes a time for: the exponential of 2 x 2 matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._bench.case import Case
from fastnn._bench.layout import Result, best_limit, microseconds, rivals
from fastnn._bench.training.agreement import agree, expected
from fastnn._bench.training.problem import STEPS_COMPARED, STILL, Problem
from fastnn._bench.training.spec import Spec

# So many epochs that what a call of `fit` costs once does not count.
SAMPLES, EPOCHS = 10_000, 200
# Its README: 4,000 epochs in 0.165 s, on an Intel i9-10980XE, and 37 times PyTorch's speed there.
REPORTED, CORES = 41e-6, 18

TITLE = "SimpleChains.jl's task, microseconds an epoch"
NOTES = (
    f"tanh network 4-32-16-4, {SAMPLES:,} samples as one batch, squared error, Adam",
    "core-us: times the number of threads; in brackets how many times as fast as the library",
    f"fastnn is. SimpleChains.jl reports {REPORTED * 1e6:.0f} us on {CORES} cores with 512-bit "
    f"vectors, {REPORTED * CORES * 1e6:.0f} core-us,",
    "and 37 times PyTorch's speed on that machine",
)


def exponentials(matrices: NDArray[Any]) -> NDArray[Any]:
    """Return the exponential of each matrix, by its series after scaling, then squaring."""
    scaled, squarings = matrices.astype(np.float64) / 2**8, 8
    total = term = np.broadcast_to(np.eye(matrices.shape[-1]), matrices.shape)
    for k in range(1, 12):
        term = term @ scaled / k
        total = total + term
    for _ in range(squarings):
        total = total @ total
    return total


def _problem(spec: Spec, epochs: int, lr: float) -> tuple[Problem]:
    x = np.random.default_rng(0).standard_normal((spec.batch, 2, 2))
    t = exponentials(x).reshape(-1, 4).astype(spec.dtype)
    return (Problem(spec, x.reshape(-1, 4).astype(spec.dtype), t, lr, epochs),)


def task(dtype: str, samples: int = SAMPLES, epochs: int = EPOCHS) -> Case:
    """Return the case of some epochs."""
    spec = Spec((4, 32, 16, 4), samples, activation="tanh", loss="mean_squared_error", dtype=dtype)
    return Case(
        "training",
        "Adam",
        "4-32-16-4",
        partial(_problem, spec, epochs, STILL),
        expected,
        flops=epochs * spec.products,
        check=agree,
        trial=partial(_problem, spec, STEPS_COMPARED, 1e-3),
        samples=epochs * samples,
        quick=True,
    )


def cases(dtype: str) -> Iterator[Case]:
    """Yield the case."""
    yield task(dtype)


def table(results: Sequence[Result]) -> list[list[str]]:
    """Return the rows of the table, its head first."""
    names = rivals(results)
    rows = [["", "network", "fastnn us", "core-us", "of SimpleChains", "of FMA", *names]]
    for result in results:
        seconds = {name: v["minimum"] / EPOCHS for name, v in result["seconds"].items()}
        cores = seconds["fastnn"] * result["threads"]
        share = result["work"] / EPOCHS / seconds["fastnn"] / best_limit(results)
        rows.append(
            [
                result["case"],
                result["shape"],
                microseconds(seconds["fastnn"]),
                microseconds(cores),
                f"{cores / (REPORTED * CORES):.2f}",
                f"{share:.0%}",
                *(
                    f"{microseconds(seconds[name])} ({result['ratios'][name]:.2f}x)"
                    for name in names
                ),
            ]
        )
    return rows
