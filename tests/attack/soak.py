"""Threads and processes work for long: memory, descriptors, threads and bits are watched."""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from fastnn import ensembles, ops
from tests.attack import small
from tests.attack.children import alone
from tests.attack.outcome import Outcome

RANK, UNIT, FULL, CHUNK = 11, "seconds", 1800, 1800

PROCESSES, THREADS = 4, 8
GROWTH = 16 << 20  # bytes of memory that a process may gain between its second and last quarter
WARM = 30.0  # seconds before it is watched, while each thread gets its memory

Jobs = Mapping[str, Callable[[], Any]]


def attack(amount: int, seed: int) -> Outcome:
    """Let processes work for so many seconds."""
    began = time.monotonic()
    with ThreadPoolExecutor(PROCESSES) as pool:
        of_processes = [pool.submit(alone, process, amount, seed + i) for i in range(PROCESSES)]
        results = [each.result() for each in of_processes]
    failures = [failure for _, found in results for failure in found]
    figures: dict[str, Any] = {"processes": str(PROCESSES), "threads in each": str(THREADS)}
    for name in results[0][0]:
        values = [measured[name] for measured, _ in results]
        figures[name] = sum(values) if isinstance(values[0], int) else max(values)
    command = f"python -m tests.attack soak --amount {amount} --seed {seed}"
    return Outcome(
        "soak",
        "Many threads and processes that work at once get the same bits, however long they work; "
        "memory, file descriptors and threads do not grow with time.",
        "tests/attack/test_soak.py",
        {UNIT: amount, **figures},
        tuple(f"{command}: {failure}" for failure in failures),
        time.monotonic() - began,
        command,
    )


def _fit(route: str) -> str:
    net = small.network(route)
    small.train(net, 2)
    return small.bits(net)


_NETWORK = small.network()


def _predict(samples: int) -> list[float]:
    x = np.tile(small.X, (-(-samples // small.N), 1))[:samples]
    return _NETWORK.predict(x).sum(axis=0).tolist()


def _operations(rows: int, width: int) -> list[float]:
    x = np.linspace(-1, 1, rows * width, dtype=np.float32).reshape(rows, width)
    W, b = np.ones((width, 64), np.float32), np.zeros(64, np.float32)
    y = ops.affine_relu(x, W, b)
    loss, dy = ops.softmax_cross_entropy(y, np.arange(rows) % 64)
    _, dW, _ = ops.affine_relu_backward(dy, x, W, y)
    m, v = np.zeros_like(W), np.zeros_like(W)
    ops.adam_(W, dW, m, v, 1)
    return [float(loss), float(dW.sum()), float(W.sum())]


def _file() -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.npz")
        _NETWORK.save(path)
        return small.bits(fastnn.load(path))


def _ensemble() -> list[float]:
    several = ensembles.Ensemble([_NETWORK, small.network()])
    return several.predict(small.X).sum(axis=0).tolist()


JOBS: Jobs = {
    "program": lambda: _fit("program"),
    "layers": lambda: _fit("layers"),
    "predict 1": lambda: _predict(1),
    "predict 60": lambda: _predict(60),
    "predict 5000": lambda: _predict(5000),
    "small operations": lambda: _operations(16, 10),
    "large operations": lambda: _operations(3000, 200),
    "file": _file,
    "ensemble": _ensemble,
}


def process(seconds: float, seed: int) -> tuple[dict[str, Any], list[str]]:
    """Work with all threads of a process; return figures and failures."""
    warnings.simplefilter("ignore")
    small.train(_NETWORK, 1)
    return watched(JOBS, seconds, THREADS, seed, WARM)


def watched(
    jobs: Jobs, seconds: float, threads: int, seed: int, warm: float = 0.0
) -> tuple[dict[str, Any], list[str]]:
    """Let threads do jobs, watched after `warm` seconds; return figures, what grew or differed."""
    expected = {name: job() for name, job in jobs.items()}
    over, counts, wrong = threading.Event(), [0] * threads, dict[str, str]()

    def work(number: int) -> None:
        rng = np.random.default_rng([seed, number])
        while not over.is_set():
            name = rng.choice([*jobs])
            try:
                value = jobs[name]()
                if value != expected[name]:
                    wrong[name] = f"expected {expected[name]}, got {value}"
            except Exception as error:
                wrong[name] = f"{type(error).__name__}: {error}"
            counts[number] += 1

    started = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in started:
        thread.start()
    time.sleep(warm)
    samples, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(min(1.0, seconds / 40))
        samples.append(_measured())
    over.set()
    for thread in started:
        thread.join()
    quarter = max(1, len(samples) // 4)
    second, last = samples[quarter : 2 * quarter] or samples, samples[-quarter:]
    growth = [
        # Of memory the usual amount; of the others the least, as jobs open and close files.
        (statistics.median if i == 0 else min)(s[i] for s in last)
        - (statistics.median if i == 0 else min)(s[i] for s in second)
        for i in range(3)
    ]
    # Each thread may have a file open, or a helper that begins.
    limits = {"bytes of memory": GROWTH, "file descriptors": threads, "threads": threads}
    failures = [f"{name}: {error[:500]}" for name, error in wrong.items()]
    for (name, limit), more in zip(limits.items(), growth, strict=True):
        if more > limit:
            failures.append(f"{more:,.0f} more {name} in the last quarter than in the second")
    return {
        "jobs": sum(counts),
        "growth of memory, MB": round(growth[0] / 2**20, 2),
        "most memory of a process, MB": round(max(s[0] for s in samples) / 2**20, 1),
        "most file descriptors": float(max(s[1] for s in samples)),
        "most threads": float(max(s[2] for s in samples)),
    }, failures


def _measured() -> tuple[int, int, int]:
    """Return bytes of memory, file descriptors and threads of this process."""
    with open("/proc/self/statm") as file:
        memory = int(file.read().split()[1]) * resource.getpagesize()
    return memory, len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
