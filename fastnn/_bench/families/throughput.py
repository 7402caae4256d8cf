"""Whole training, in samples a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from fastnn._bench.case import Case
from fastnn._bench.layout import Result, best_limit, rivals
from fastnn._bench.peers import LIBRARIES
from fastnn._bench.training.agreement import agree, expected
from fastnn._bench.training.problem import STEPS_COMPARED, STILL, problem
from fastnn._bench.training.spec import Spec

TITLE = "training, samples a second"
NOTES = (
    "an epoch with shuffled batches; in brackets how many times as fast as the library fastnn is,",
    "the median over rounds; initial values and order of samples are the same for all; losses and",
    "parameters of the first steps agreed with the reference's",
    "BN: batch normalisation before each ReLU",
    "of FMA: operations of the matrix products alone",
)

CHAPTER = (784, 100, 100, 100, 100, 10)
NETWORKS = {
    "784-100x4-10": CHAPTER,
    "784-1024x2-10": (784, 1024, 1024, 10),
    "784-32-10": (784, 32, 10),
}
BATCHES = (32, 128, 512)
RATES = {"Adam": 1e-3, "SGD": 0.02}
QUICK = [("784-100x4-10", 128), ("784-32-10", 32)]
# Of the batch sizes, those that torch.compile is given: it takes half a minute for each.
COMPILED = {"784-100x4-10": 128, "784-1024x2-10": 512, "784-32-10": 32}

WORK = 6e9  # operations in an epoch
STEPS = (20, 500)  # at least, at most


def training(
    label: str,
    shape: str,
    spec: Spec,
    steps: int,
    *,
    libraries: Sequence[str] = (),
    quick: bool = False,
) -> Case:
    """Return the case of an epoch."""
    return Case(
        "training",
        label,
        shape,
        partial(problem, spec, steps, STILL),
        expected,
        flops=steps * spec.products,
        check=agree,
        trial=partial(problem, spec, STEPS_COMPARED, RATES[spec.rule]),
        samples=steps * spec.batch,
        libraries=tuple(libraries),
        quick=quick,
    )


def cases(dtype: str) -> Iterator[Case]:
    """Yield the cases."""
    for name, widths in NETWORKS.items():
        for batch in BATCHES:
            for rule in RATES:
                for norm in (False, True):
                    spec = Spec(widths, batch, rule, norm, dtype=dtype)
                    steps = min(STEPS[1], max(STEPS[0], round(WORK / spec.products)))
                    quick = (name, batch) in QUICK and rule == "Adam" and not norm
                    without = () if COMPILED[name] == batch else ("torch.compile",)
                    yield training(
                        f"{rule} + BN" if norm else rule,
                        f"{name}, batch {batch}",
                        spec,
                        steps,
                        libraries=[library for library in LIBRARIES if library not in without],
                        quick=quick,
                    )


def table(results: Sequence[Result]) -> list[list[str]]:
    """Return the rows of the table, its head first."""
    names = rivals(results)
    rows = [["", "network", "fastnn", "of FMA", *names]]
    for result in results:
        seconds = {name: value["minimum"] for name, value in result["seconds"].items()}
        share = result["work"] / seconds["fastnn"] / best_limit(results)
        others = [
            f"{result['samples'] / seconds[name]:,.0f} ({result['ratios'][name]:.2f}x)"
            if name in seconds
            else "-"
            for name in names
        ]
        fastnn = f"{result['samples'] / seconds['fastnn']:,.0f}"
        rows.append([result["case"], result["shape"], fastnn, f"{share:.0%}", *others])
    return rows
