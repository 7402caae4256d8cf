"""Forks while other threads train, call functions and compile: the child does so too, and ends."""

from __future__ import annotations

import random
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from fastnn import ops
from fastnn.kernels.codegen import lock  # noqa: F401 - forks wait for what compiles, where it is
from tests.attack import small
from tests.attack.children import forked, in_short, shared
from tests.attack.outcome import Outcome

RANK, UNIT, FULL, CHUNK = 4, "forks", 1000, 100

LIMIT = 20.0  # seconds for a child, which takes some hundredths
HANGS = 5  # after so many an attack ends: each costs the limit


def attack(amount: int, seed: int) -> Outcome:
    """Fork so many times."""
    began = time.monotonic()
    figures, failures = shared(forks, amount, seed)
    return Outcome(
        "forks",
        "A child that is forked while other threads train and compile can train and compile too, "
        "and gets the same bits.",
        "tests/attack/test_forks.py",
        {UNIT: amount, **figures},
        failures,
        time.monotonic() - began,
        f"python -m tests.attack forks --amount {amount} --seed {seed}",
    )


def _call() -> list[Any]:
    W, b = np.ones((small.D, 40), np.float32), np.arange(40, dtype=np.float32)
    many = np.tile(small.X, (40, 1))  # enough to be shared among threads
    y = ops.affine_relu(many, W, b)
    return [float(y.sum()), ops.softmax(small.X).tolist()]


def _fit() -> str:
    net = small.network()
    small.train(net, 2)
    return small.bits(net)


def _compile() -> float:
    return numba.njit(lambda x: x * 2.0 + 1.0)(3.0)


JOBS: dict[str, Callable[[], Any]] = {"ops": _call, "fit": _fit, "compile": _compile}


def forks(amount: int, seed: int, jobs: Any = None) -> tuple[dict[str, int], list[str]]:
    """Fork beside busy threads; each child has one of the jobs."""
    warnings.simplefilter("ignore")
    jobs = JOBS if jobs is None else jobs
    expected = {name: job() for name, job in jobs.items()}
    over, wrong = threading.Event(), []
    counts = dict.fromkeys(jobs, 0)

    def busy(name: str) -> None:
        while not over.is_set():
            if jobs[name]() != expected[name]:
                wrong.append(name)
            counts[name] += 1
            time.sleep(0.01)  # a compiler that never rests takes all memory: Numba frees no code

    threads = [threading.Thread(target=busy, args=(name,)) for name in [*jobs, "fit"]]
    for thread in threads:
        thread.start()
    failures = []
    for number in range(seed, seed + amount):
        random_ = random.Random(number)
        if len(failures) >= HANGS:
            break
        time.sleep(random_.uniform(0, 0.02))
        name = random_.choice([*jobs])
        end = forked(jobs[name], limit=LIMIT)
        error = in_short(end.error)
        if not error and end.value != expected[name]:
            error = f"expected {expected[name]}, got {end.value}"
        if error:
            command = f"python -m tests.attack forks --amount 100 --seed {number}"
            failures.append(f"{command}: {name} in a child: {error[:1500]}")
    over.set()
    for thread in threads:
        thread.join()
    failures += [f"{name} had other results in the parent" for name in {*wrong}]
    return {f"{name} in the parent meanwhile": count for name, count in counts.items()}, failures
