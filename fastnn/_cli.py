"""The commands of ``python -m fastnn``; each imports what it needs when it runs."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fastnn", description="Neural networks on the CPU, on compiled kernels."
    )
    commands = parser.add_subparsers(title="commands", required=True)

    info = commands.add_parser(
        "info",
        help="print what fastnn finds here: CPU, threads, cache, versions",
        description="Print the CPU and its vector width, threads, cache folder and versions.",
    )
    info.add_argument("--json", action="store_true", help="print JSON instead of text")
    info.set_defaults(run=_info)

    warmup = commands.add_parser(
        "warmup",
        help="compile all kernels now, so that no later process has to",
        description="Compile all kernels for float32 and float64 and keep them in the cache "
        "folder (FASTNN_CACHE_DIR), so that no later process of this installation has to. "
        "Takes a minute or two the first time.",
    )
    warmup.set_defaults(run=_warmup)

    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code."""
    parsed = _parser().parse_args(arguments)
    return int(parsed.run(parsed))


def _info(parsed: argparse.Namespace) -> int:
    from fastnn import _info

    facts = _info.info()
    print(json.dumps(facts, indent=2) if parsed.json else "\n".join(_info.lines(facts)))
    return 0


def _warmup(parsed: argparse.Namespace) -> int:
    from tqdm import tqdm

    from fastnn import _warmup, config
    from fastnn.kernels import cache

    if config.get_backend() != "numba":
        print("nothing to compile: FASTNN_BACKEND=numpy or NUMBA_DISABLE_JIT=1 is set")
        return 1
    start, before = time.perf_counter(), _compiled()
    steps = list(_warmup.steps())
    with tqdm(total=len(steps), unit="call", dynamic_ncols=True) as bar:
        for name, call in steps:
            bar.set_postfix_str(name)
            call()
            bar.update()
    seconds, after = time.perf_counter() - start, _compiled()
    print(
        f"compiled {after - before} kernels in {seconds:.1f} s, found {before} compiled before; "
        f"they are in {cache.folder()}"
    )
    if not after:
        print("nothing could be kept there: set FASTNN_CACHE_DIR to a folder that can be written")
    return 0 if after else 1


def _compiled() -> int:
    """Return how many compiled kernels are on disk."""
    from fastnn.kernels import cache

    return len(list(cache.folder().glob("*.bin")))
