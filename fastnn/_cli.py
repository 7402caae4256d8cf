"""The commands of ``python -m fastnn``."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

from fastnn import _info, _warmup, config, dropin
from fastnn._bars import Progress
from fastnn._bench import plot, run, table
from fastnn._bench.families import FAMILIES, GROUPS
from fastnn.dropin._run import run as run_script
from fastnn.kernels import cache, cpus


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
    info.set_defaults(run=_print_info)

    warmup = commands.add_parser(
        "warmup",
        help="compile all kernels now, so that no later process has to",
        description="Compile all kernels for float32 and float64 and keep them in the cache "
        "folder (FASTNN_CACHE_DIR), so that no later process of this installation has to. "
        "Takes a minute or two the first time, on two CPUs.",
    )
    warmup.add_argument("--dtype", choices=_warmup.DTYPES, help=argparse.SUPPRESS)
    warmup.set_defaults(run=_compile)

    bench = commands.add_parser(
        "bench",
        help="time fastnn against NumPy, PyTorch and JAX on this machine",
        description="Time fastnn against NumPy and, where they are installed, PyTorch, JAX and "
        "scikit-learn (pip install torch jax optax scikit-learn): all in turns, on the same "
        "threads, after their results were compared. Takes many minutes for each number of "
        "threads.",
    )
    bench.add_argument(
        "--quick",
        action="store_true",
        help="a short list, in about a minute, without the family 'startup'",
    )
    bench.add_argument(
        "--family",
        action="append",
        choices=[*FAMILIES, *GROUPS],
        help="measure this family only; may be given several times; 'training' is all of "
        + ", ".join(GROUPS["training"]),
    )
    bench.add_argument(
        "--dtype", choices=("float32", "float64"), default="float32", help="default: %(default)s"
    )
    bench.add_argument(
        "--threads",
        nargs="+",
        type=_threads,
        metavar="N",
        help="numbers of threads to measure with, or 'all' (default: 1 all)",
    )
    bench.add_argument(
        "--json", metavar="FILE", help="write all results to this file, or with - print them"
    )
    bench.add_argument(
        "--plot", metavar="FILE", help="draw the family 'growth' (pip install matplotlib)"
    )
    bench.set_defaults(run=_bench)

    script = commands.add_parser(
        "run",
        help="run an unmodified script of Deep Learning from Scratch or CS231n on fastnn",
        description="Run a Python script as it is. What it imports from common and dataset "
        "(Deep Learning from Scratch) or from cs231n comes from fastnn, also where modules of "
        "these names lie beside it.",
    )
    script.add_argument(
        "--as",
        dest="name",
        required=True,
        choices=dropin.NAMES,
        help="dlfs: the book as in its Korean repository; dlfs-ja: in its Japanese one; "
        "cs231n: the course's assignments 1 and 2",
    )
    script.add_argument("script", metavar="SCRIPT", help="path of the script")
    script.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help="arguments of the script"
    )
    script.set_defaults(run=_run)
    return parser


def _threads(text: str) -> int:
    available = int(cpus.available())
    if text == "all":
        return available
    if not text.isdecimal() or not 1 <= int(text) <= available:
        raise argparse.ArgumentTypeError(
            f"expected numbers from 1 to {available}, or 'all', got {text!r}"
        )
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code."""
    parsed = _parser().parse_args(arguments)
    return int(parsed.run(parsed))


def _print_info(parsed: argparse.Namespace) -> int:
    facts = _info.info()
    print(json.dumps(facts, indent=2) if parsed.json else "\n".join(_info.lines(facts)))
    return 0


def _compile(parsed: argparse.Namespace) -> int:
    if config.get_backend() != "numba":
        print("nothing to compile: FASTNN_BACKEND=numpy or NUMBA_DISABLE_JIT=1 is set")
        return 1
    if parsed.dtype:  # one of the processes of the command without it
        for name, call in _warmup.steps(parsed.dtype):
            call()
            print(name, flush=True)
        return 0
    start, before = time.perf_counter(), _compiled()
    failed = _compile_each(_warmup.DTYPES)
    if failed:
        print(f"warmup: {failed}", file=sys.stderr)
        return 1
    seconds, after = time.perf_counter() - start, _compiled()
    print(
        f"compiled {after - before} kernels in {seconds:.1f} s, found {before} compiled before; "
        f"they are in {cache.folder()}"
    )
    if not after:
        print("nothing could be kept there: set FASTNN_CACHE_DIR to a folder that can be written")
    return 0 if after else 1


def _compile_each(dtypes: Sequence[str]) -> str:
    """Compile for each dtype in a process of its own; return what has gone wrong."""
    # Their kernels have little in common, and a process compiles on one CPU only.
    command = [sys.executable, "-m", "fastnn", "warmup", "--dtype"]
    count = sum(1 for dtype in dtypes for _ in _warmup.steps(dtype))
    quiet = dict(os.environ, FASTNN_QUIET="1")  # the bar says it all
    with tempfile.TemporaryFile("w+") as errors, Progress(count, " calls") as bar:
        children = [
            subprocess.Popen(
                [*command, dtype], stdout=subprocess.PIPE, stderr=errors, text=True, env=quiet
            )
            for dtype in dtypes
        ]
        try:
            readers = [Thread(target=_follow, args=(child.stdout, bar)) for child in children]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            if any([child.wait() for child in children]):
                errors.seek(0)
                return errors.read().strip() or "a process that compiles has ended"
        except BaseException:
            for child in children:
                child.kill()
            raise
    return ""


def _follow(lines: Any, bar: Any) -> None:
    for line in lines:
        bar.advance(1, partial(dict, last=line.strip()))


def _bench(parsed: argparse.Namespace) -> int:
    threads = sorted(set(parsed.threads or (1, cpus.available())))
    # To start processes takes longer than all of the short list.
    asked = parsed.family or [f for f in FAMILIES if f != "startup" or not parsed.quick]
    # Each once, in the order in which they are listed.
    named = {name for family in asked for name in GROUPS.get(family, [family])}
    families = [family for family in FAMILIES if family in named]
    if parsed.plot and ("growth" not in families or parsed.quick):
        print("bench: --plot: draws the family 'growth', which is not measured", file=sys.stderr)
        return 2
    if parsed.plot and importlib.util.find_spec("matplotlib") is None:
        print("bench: --plot: matplotlib is not installed", file=sys.stderr)
        return 2
    for option, path in (("--json", parsed.json), ("--plot", parsed.plot)):
        try:
            if path not in (None, "-"):
                Path(path).touch()  # now, not after minutes
        except OSError as error:
            print(f"bench: {option}: {error}", file=sys.stderr)
            return 2
    results, errors = run.measure(families, parsed.dtype, threads, parsed.quick)
    errors += table.wrong(results)
    if parsed.plot and results:
        plot.draw(results, parsed.plot)
    facts = _info.info()
    text = json.dumps({"machine": facts, "results": results}, indent=2)
    if parsed.json == "-":
        print(text)
    elif parsed.json:
        Path(parsed.json).write_text(text + "\n")
    if parsed.json != "-" and results:
        print("\n".join(table.heading(facts, results) + table.lines(results)))
    for line in errors:
        print(f"bench: {line}", file=sys.stderr)
    return 1 if errors else 0


def _run(parsed: argparse.Namespace) -> int:
    return run_script(parsed.name, parsed.script, parsed.arguments)


def _compiled() -> int:
    """Return how many compiled kernels are on disk."""
    return len(list(cache.folder().glob("*.bin")))
