"""Several networks trained at the same time, beside one after the other and other libraries."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np

from fastnn import config, fit_many, optimizers
from fastnn._bench.case import Arrays, Case
from fastnn._bench.families.throughput import CHAPTER
from fastnn._bench.layout import Result, number
from fastnn._bench.measure import Libraries, identity, without_collector
from fastnn._bench.settings import Settings
from fastnn._bench.timing import take_turns
from fastnn._bench.training.problem import STILL, Problem, problem
from fastnn._bench.training.spec import NotMeasuredError, Spec
from fastnn._bench.training.with_fastnn import Training

TITLE = "networks trained at the same time, ms a network"
NOTES = (
    "batch 128, SGD, float32 samples that all share; minima, and in brackets the time over that of",
    "fit_many, median over rounds. one by one: each on one thread; on all: each on all threads;",
    "processes: joblib's, kept between calls; PyTorch: a Python thread each, of one thread",
    "memory: KB a network that training 62 more adds to the process, over the bytes of its own",
    "parameters and Adam's state",
)
THREADS = "most"
SMALL = (784, 32, 10)
BATCH = 128
ONE_BY_ONE, ON_ALL, PROCESSES = "one by one", "on all", "processes"

# How many times as fast as one by one it is to be, and how much more a network's memory may be.
FASTER, AS_FAST, MORE = 1.9, 1.0, 1.5

# Steps of an epoch, and epochs, of a network.
WORK = {CHAPTER: (40, 10), SMALL: (40, 40)}
NAMES = {CHAPTER: "784-100x4-10", SMALL: "784-32-10"}
MANY, FEW = 64, 2


def _nothing() -> Arrays:
    return []


def cases(dtype: str) -> Iterator[Case]:
    """Yield the cases."""
    for widths in (CHAPTER, SMALL):
        yield Case(
            "training", f"{FEW} networks", NAMES[widths], tuple, _nothing, quick=widths == SMALL
        )
    yield Case("training", f"{MANY} networks", NAMES[SMALL], tuple, _nothing)
    yield Case("training", "memory", NAMES[SMALL], tuple, _nothing)


def measure(family: str, case: Case, libraries: Libraries, settings: Settings) -> dict[str, Any]:
    """Train in turns, or in a process whose memory is looked at."""
    if case.label == "memory":
        return {**identity(family, case, settings), **_memory(settings.dtype)}
    many = case.label == f"{MANY} networks"
    if settings.threads == 1:
        raise NotMeasuredError("needs two threads or more")
    widths = {name: widths for widths, name in NAMES.items()}[case.shape]
    spec = Spec(widths, BATCH, "SGD", dtype=settings.dtype)
    steps, epochs = WORK[widths]
    if many:
        epochs //= 10
    (given,) = problem(spec, steps, STILL, epochs)
    counts = {"fastnn": FEW, ONE_BY_ONE: FEW}
    calls = {
        "fastnn": _together(given, FEW),
        ONE_BY_ONE: _one_by_one(given, FEW, 1),
    }
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        if many:
            calls[f"{MANY}"], counts[f"{MANY}"] = _together(given, MANY), MANY
        else:
            calls[ON_ALL], counts[ON_ALL] = _one_by_one(given, FEW, None), FEW
            for name, make in ((PROCESSES, _processes), ("PyTorch", _threads_of_torch)):
                try:
                    calls[name], counts[name] = make(given, FEW, stack), FEW
                except NotMeasuredError as error:
                    left_out[name] = str(error)
        stack.enter_context(without_collector())
        for call in calls.values():
            call()
        times = take_turns(calls, 1 if settings.quick else 4, sample=5e-3, settle=0.3)
    seconds = {
        name: {"minimum": times.minimum(name) / n, "median": times.median(name) / n}
        for name, n in counts.items()
    }
    ratios = {
        name: times.ratio(name, "fastnn") * FEW / counts[name] for name in calls if name != "fastnn"
    }
    if many:
        measured, limit = 1 / ratios[f"{MANY}"], AS_FAST
    else:
        measured, limit = ratios[ONE_BY_ONE], FASTER
    return {
        **identity(family, case, settings),
        "seconds": seconds,
        "ratios": ratios,
        "measured": measured,
        "limit": limit,
        "holds": bool(measured >= limit),
        "left_out": left_out,
    }


def _networks(given: Problem, count: int) -> list[Any]:
    params = given.spec.initial()
    return [Training(given.spec, params, given.x, given.t).network for _ in range(count)]


def _arguments(given: Problem) -> dict[str, Any]:
    return {"epochs": given.epochs, "batch_size": BATCH, "seed": 0, "verbose": False}


def _together(given: Problem, count: int) -> Callable[[], object]:
    networks, rule = _networks(given, count), optimizers.SGD(given.lr)
    return partial(fit_many, networks, given.x, given.t, optimizer=rule, **_arguments(given))


def _one_by_one(given: Problem, count: int, threads: int | None) -> Callable[[], object]:
    networks, rule = _networks(given, count), optimizers.SGD(given.lr)

    def run() -> None:
        with config.limit_num_threads(threads):
            for network in networks:
                network.fit(given.x, given.t, optimizer=rule, **_arguments(given))

    return run


def _processes(given: Problem, count: int, stack: ExitStack) -> Callable[[], object]:
    """Return trainings in joblib's processes, which stay and map the samples from a file."""
    if importlib.util.find_spec("joblib") is None:
        raise NotMeasuredError("joblib is not installed")
    import joblib

    networks = _networks(given, count)
    pool = stack.enter_context(joblib.Parallel(n_jobs=count))
    calls = [joblib.delayed(train_alone)(n, given.x, given.t, given.lr, _arguments(given))
             for n in networks]  # fmt: skip
    return lambda: pool(calls)


def train_alone(network: Any, x: Any, t: Any, lr: float, arguments: dict[str, Any]) -> Any:
    """Train a network in a process of joblib, and return it, as fit_many has trained it."""
    config.set_num_threads(1)
    network.fit(x, t, optimizer=optimizers.SGD(lr), **arguments)
    return network


def _threads_of_torch(given: Problem, count: int, stack: ExitStack) -> Callable[[], object]:
    if importlib.util.find_spec("torch") is None:
        raise NotMeasuredError("PyTorch is not installed")
    import torch

    from fastnn._bench.training import with_torch

    params, order = given.spec.initial(), np.random.default_rng(0).permutation(len(given.x))
    # Outside the session's inference mode, of which autograd takes no tensor.
    with torch.inference_mode(False):
        made = [with_torch.Training(given.spec, params, given.x, given.t) for _ in range(count)]

    def train(training: Any) -> None:
        for _ in range(given.epochs):
            training.epoch(given.lr, order)

    threads, before = stack.enter_context(ThreadPoolExecutor(count)), torch.get_num_threads()
    stack.callback(torch.set_num_threads, before)
    torch.set_num_threads(1)
    return lambda: [*threads.map(train, made)]


def _memory(dtype: str) -> dict[str, Any]:
    """Return what training more networks adds to a process of its own."""
    if importlib.util.find_spec("resource") is None:
        raise NotMeasuredError("this system does not tell the peak memory of a process")
    code = f"from fastnn._bench.families import many; many.report_memory({dtype!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    measured = found["added"] / found["own"]
    return {**found, "measured": measured, "limit": MORE, "holds": measured <= MORE}


def report_memory(dtype: str) -> None:
    """Print the bytes that a network adds, and those of its parameters and Adam's state."""
    from fastnn._bench.training.process import peak

    (given,) = problem(Spec(SMALL, BATCH, dtype=dtype), WORK[SMALL][0], STILL, 2)
    networks = _networks(given, MANY - FEW)
    trained = _networks(given, FEW)

    def train(some: list[Any]) -> None:
        arguments = _arguments(given)
        fit_many(some, given.x, given.t, optimizer=optimizers.Adam(STILL), **arguments)

    train(trained)
    own = 3 * sum(p.nbytes for p in networks[0].params.values())
    params = own // 3  # which are there already
    before = peak()
    train(networks)
    added = (peak() - before) / len(networks) + params
    print(json.dumps({"added": added, "own": own}))


def table(results: Sequence[Result]) -> list[list[str]]:
    """Return the rows of the table, its head first, how many hold last."""
    names = ["fastnn", ONE_BY_ONE, ON_ALL, PROCESSES, "PyTorch", f"{MANY}"]
    rows = [["", "network", *names, "", ""]]
    for result in results:
        seconds, ratios = result.get("seconds", {}), result.get("ratios", {})
        cells = []
        for name in names:
            text = number(seconds[name]["minimum"] * 1e3) if name in seconds else "-"
            cells.append(f"{text} ({ratios[name]:.2f}x)" if name in ratios else text)
        if "added" in result:
            cells[0] = f"{result['added'] / 1e3:.0f} KB of {result['own'] / 1e3:.0f}"
        sign = "at most" if "added" in result else "at least"
        held = "holds" if result["holds"] else "missed"
        limit = f"{result['measured']:.2f}x, {sign} {result['limit']:.1f}x"
        rows.append([result["case"], result["shape"], *cells, limit, held])
    held_all = sum(result["holds"] for result in results)
    return [*rows, [f"{held_all} of {len(results)} hold", *[""] * (len(rows[0]) - 1)]]
