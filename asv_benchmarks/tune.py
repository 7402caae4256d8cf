"""Try other numbers for products than those of the tuning table: `python tune.py --bits 256`.

Each candidate is a set of numbers by their names in `fastnn.kernels.tuning`, as JSON; the table as
it is, {}, is one of them. A process for each compiles the product with them, into a cache of its
own, and then all take turns on each shape: a shared machine changes its speed by the second.
Printed are the shares of fused multiply-adds in registers that products reach, the best of all
turns, and their geometric mean, the best candidate first. The winner's numbers go into the table
by hand, with the figures.

    python tune.py --bits 512 --dtype float64 '{"block_k": 256}' '{"block_tiles": 20}'
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHAPES = {
    "16": (16,) * 3, "32": (32,) * 3, "64": (64,) * 3, "128": (128,) * 3, "784": (128, 784, 100),
    "odd": (37, 129, 67), "512": (512,) * 3, "1024": (1024,) * 3, "2048": (2048,) * 3,
    "wide": (768, 1536, 640), "narrow": (96, 1500, 24),
}  # fmt: skip
CANDIDATES: dict[int, list[dict[str, Any]]] = {
    512: [
        {"tiles": {"14": [4, 3, 2, 1], "8": [4, 3, 2], "5": [4, 3, 2], "4": [8, 4, 3, 2],
                   "2": [16, 8, 4, 3, 2], "1": [16, 8, 4, 3, 2]}},
        {"tiles": {"8": [6, 5, 3, 2, 1], "5": [6, 5, 3, 2], "4": [6, 5, 3, 2],
                   "2": [6, 5, 3, 2], "1": [12, 6, 5, 3, 2]}},
        {"block_k": 256, "block_tiles": 16},
        {"block_k": 384, "block_tiles": 12},
        {"pack_a_columns": 1 << 30},
        {"pack_b_columns": 64, "pack_b_rows": 48},
    ],
    256: [
        {"tiles": {"4": [6, 5, 3, 2], "3": [6, 5, 3, 2], "2": [6, 5, 3, 2], "1": [12, 6, 5, 3, 2]}},
        {"block_k": 256, "block_tiles": 16},
        {"block_k": 384, "block_tiles": 16},
        {"pack_a_columns": 1 << 30},
        {"pack_b_columns": 64, "pack_b_rows": 48},
    ],
}  # fmt: skip
CANDIDATES[128] = CANDIDATES[256]


def override(numbers: dict[str, Any]) -> None:
    """Put numbers into the tuning table, before any kernel has read it."""
    from fastnn.kernels import tuning

    numbers = dict(numbers)
    if tiles := numbers.get("tiles"):
        numbers["tiles"] = {int(height): tuple(widths) for height, widths in tiles.items()}
    common = {n: value for n, value in numbers.items() if n in tuning.COMMON._fields}
    tuning.COMMON = tuning.COMMON._replace(**common)
    rest = {n: value for n, value in numbers.items() if n not in common}
    for dtype, own in tuning.BY_DTYPE.items():
        tuning.BY_DTYPE[dtype] = own._replace(**rest)


def work(numbers: dict[str, Any], dtype: str, seconds: float) -> None:
    """Measure the shapes that come as lines, one at a time; print the share of the limit."""
    override(numbers)
    import numpy as np

    from fastnn.kernels import limits

    out = np.empty(1, dtype)
    best = 0.0

    def limit() -> float:
        start = time.perf_counter()
        limits.multiply_add(20_000, out, 1)
        return limits.flops(20_000, out) / (time.perf_counter() - start)

    for line in sys.stdin:
        m, k, n = shape = json.loads(line)
        rng = np.random.default_rng(0)
        a, b = (rng.standard_normal(s).astype(dtype) for s in ((m, k), (k, n)))
        c, flops = np.empty((m, n), dtype), 2 * math.prod(shape)
        times, rate = max(1, round(1e8 / flops)), 0.0
        limits.products(1, a, b, c)
        end = time.perf_counter() + seconds
        while rate == 0 or time.perf_counter() < end:
            best = max(best, limit())
            start = time.perf_counter()
            limits.products(times, a, b, c)
            rate = max(rate, times * flops / (time.perf_counter() - start))
        print(json.dumps([rate, best]), flush=True)


def start(numbers: dict[str, Any], options: argparse.Namespace, cache: Path) -> Any:
    """Start the process of a candidate."""
    environment = os.environ | {
        "FASTNN_VECTOR_BITS": str(options.bits),
        "FASTNN_CACHE_DIR": str(cache),
        "FASTNN_MACHINE_CODE": "jit",
    }
    command = [sys.executable, __file__, "--work", "--dtype", options.dtype, json.dumps(numbers)]
    command += ["--seconds", str(options.seconds)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **pipes)  # type: ignore[call-overload]


def ask(worker: Any, shape: tuple[int, ...]) -> list[float]:
    """Return the rate at which a worker computes products of a shape, and the limit."""
    print(json.dumps(shape), file=worker.stdin, flush=True)
    answer: list[float] = json.loads(worker.stdout.readline())
    return answer


def table(candidates: list[dict[str, Any]], rates: list[list[float]]) -> Iterator[str]:
    """Yield the lines of the table, the best candidate first."""
    means = [math.exp(sum(map(math.log, own)) / len(own)) for own in rates]
    for i in sorted(range(len(candidates)), key=lambda i: -means[i]):
        cells = " ".join(f"{rate:7.1%}" for rate in rates[i])
        yield f"{cells} {means[i]:7.1%}  {json.dumps(candidates[i])}"


def main() -> None:
    """Try all candidates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("candidates", nargs="*", type=json.loads)
    parser.add_argument("--bits", type=int, default=256, choices=[512, 256, 128])
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--shapes", default=",".join(SHAPES), help="names, with commas between")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.1, help="of a turn")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.candidates[0], options.dtype, options.seconds)
        return
    candidates = [{}, *(options.candidates or CANDIDATES[options.bits])]
    shapes = options.shapes.split(",")
    with tempfile.TemporaryDirectory() as folder:
        caches = [Path(folder) / str(i) for i in range(len(candidates))]
        workers = [start(*each) for each in zip(
            candidates, [options] * len(candidates), caches, strict=True
        )]  # fmt: skip
        for worker in workers:
            ask(worker, SHAPES[shapes[0]])  # compiles
        turns = [
            [[ask(worker, SHAPES[name]) for name in shapes] for worker in workers]
            for _ in range(options.rounds)
        ]
        for worker in workers:
            worker.stdin.close()
            worker.wait()
    limit = max(best for turn in turns for own in turn for _, best in own)
    rates = [
        [max(turn[i][j][0] for turn in turns) / limit for j in range(len(shapes))]
        for i in range(len(candidates))
    ]
    print(f"{options.bits} bits, {options.dtype}; FMA {limit / 1e9:.1f} GFLOP/s")
    print(" ".join(f"{name:>7}" for name in [*shapes, "mean"]))
    print("\n".join(table(candidates, rates)))


if __name__ == "__main__":
    main()
