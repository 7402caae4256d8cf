"""The time from the start of a process to a test accuracy of 97 % on MNIST."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fastnn._bench.case import Arrays, Case, WrongResultError
from fastnn._bench.families.throughput import CHAPTER
from fastnn._bench.layout import Result, rivals
from fastnn._bench.measure import Libraries, identity
from fastnn._bench.peers import process
from fastnn._bench.settings import Settings
from fastnn._bench.timing import Times
from fastnn._bench.training.spec import NotMeasuredError, Spec
from fastnn.datasets import load_mnist, mnist_source

TARGET = 0.97
ROUNDS = 3
TITLE = f"time to {TARGET:.0%} test accuracy on MNIST, seconds"
NOTES = (
    "each run a new process: import, 60,000 images, batch 128, Adam, from the same initial values,",
    "10,000 test images after each epoch; compiled code was on disk (JAX: its persistent cache)",
    "the best of 3 rounds; in brackets the time over that of fastnn, median over rounds",
)
THREADS = "most"
LIBRARIES = ("fastnn", "PyTorch", "JAX")


def _nothing() -> Arrays:
    return []


def cases(dtype: str) -> Iterator[Case]:
    """Yield the case."""
    yield Case("training", "Adam", "784-100x4-10, batch 128", tuple, _nothing)


def measure(family: str, case: Case, libraries: Libraries, settings: Settings) -> dict[str, Any]:
    """Train to the target in turns."""
    if settings.dtype != "float32":
        raise NotMeasuredError("float32 only")
    try:
        source = mnist_source()
    except FileNotFoundError as error:
        raise NotMeasuredError(str(error).splitlines()[0]) from error
    if source is None:
        raise NotMeasuredError("FASTNN_DATA_DIR names no folder with MNIST")
    train, test = load_mnist(normalize=False, data_dir=source)
    spec = Spec(CHAPTER, 128)
    names = [library for library in LIBRARIES if library in libraries]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = dict(zip(("x", "x_test"), (train[0], test[0]), strict=True))
        labels = dict(zip(("t", "t_test"), (train[1], test[1]), strict=True))
        data |= {name: t.astype(np.int64) for name, t in labels.items()}
        process.prepare(folder, spec, **data)
        for i in range(ROUNDS + 1):
            for name in names:
                start = time.perf_counter()
                found[name] = process.train(name, "accuracy", folder, spec, target=TARGET)
                if i:  # the first one fills the caches
                    seconds[name].append(time.perf_counter() - start)
            names = names[1:] + names[:1]
    for name, reached in found.items():
        if reached["accuracy"] < TARGET:
            raise WrongResultError(f"{case.label} {case.shape}, {name}: {reached}")
    times = Times(seconds)
    return {
        **identity(family, case, settings),
        "reached": found,
        "seconds": {
            name: {"minimum": times.minimum(name), "median": times.median(name)} for name in seconds
        },
        "ratios": {name: times.ratio(name, "fastnn") for name in seconds if name != "fastnn"},
    }


def table(results: Sequence[Result]) -> list[list[str]]:
    """Return the rows of the table, its head first."""
    names = rivals(results)
    rows = [["", "network", "fastnn", *names, *(f"epochs {n}" for n in ("fastnn", *names))]]
    for result in results:
        best = {name: value["minimum"] for name, value in result["seconds"].items()}
        others = [f"{best[name]:.2f} ({result['ratios'][name]:.2f}x)" for name in names]
        epochs = [str(result["reached"][name]["epochs"]) for name in ("fastnn", *names)]
        rows.append([result["case"], result["shape"], f"{best['fastnn']:.2f}", *others, *epochs])
    return rows
