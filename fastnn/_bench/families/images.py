"""Whole training of networks of images, in samples a second."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from fastnn._bench.case import Case
from fastnn._bench.families.throughput import table
from fastnn._bench.training.images import NETWORKS, expected, problem, products
from fastnn._bench.training.problem import STILL

__all__ = ["NOTES", "TITLE", "cases", "table"]

TITLE = "training of images, samples a second"
NOTES = (
    "an epoch of steps with Adam; in brackets how many times as fast as the library fastnn is,",
    "the median over rounds: to reach is 1.5x PyTorch; losses of the first steps agreed",
    "PyTorch: the faster one of images as they are, and of channels last",
    "of FMA: operations of convolutions and matrix products alone",
)

BATCH = 100
STEPS, COMPARED = 5, 2


def cases(dtype: str) -> Iterator[Case]:
    """Yield the cases."""
    for name, parts in NETWORKS.items():
        yield Case(
            "training_of_images",
            "Adam",
            f"{name}, batch {BATCH}",
            partial(problem, name, dtype, BATCH, STEPS, STILL),
            expected,
            flops=float(STEPS * BATCH * products(parts)),
            trial=partial(problem, name, dtype, BATCH, COMPARED, 1e-3),
            samples=STEPS * BATCH,
            libraries=("fastnn", "PyTorch"),
            quick=True,
        )
