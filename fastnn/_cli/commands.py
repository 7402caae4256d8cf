"""The commands of ``fastnn`` and ``python -m fastnn``.

What a command needs is imported when it is chosen: the help of all takes no time.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any


class _Command(argparse.ArgumentParser):
    """The parser of a command, which gets its arguments when it is chosen.

    Attributes
    ----------
    arguments : callable
        Takes the parser and adds arguments to it.
    """

    arguments: Callable[[argparse.ArgumentParser], None]

    def parse_known_args(self, *given: Any, **named: Any) -> Any:
        self.arguments(self)
        return super().parse_known_args(*given, **named)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, description="Neural networks on the CPU, on compiled kernels."
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(title="commands", parser_class=_Command)
    for name, (text, description, arguments) in _COMMANDS.items():
        commands.add_parser(name, help=text, description=description).arguments = arguments
    return parser


def _info_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=_print_info)


def _warmup_arguments(parser: argparse.ArgumentParser) -> None:
    from fastnn._cli import warmup as _warmup

    parser.add_argument("--dtype", choices=_warmup.DTYPES, help=argparse.SUPPRESS)
    parser.set_defaults(run=_compile)


def _bench_arguments(parser: argparse.ArgumentParser) -> None:
    from fastnn._bench.families import FAMILIES, GROUPS
    from fastnn._utils import distribution as _distribution

    parser.add_argument(
        "--quick",
        action="store_true",
        help="a short list, in about a minute, without the family 'startup'",
    )
    parser.add_argument(
        "--family",
        action="append",
        choices=[*FAMILIES, *GROUPS],
        help="measure this family only; may be given several times; 'training' is all of "
        + ", ".join(GROUPS["training"]),
    )
    parser.add_argument(
        "--dtype", choices=("float32", "float64"), default="float32", help="default: %(default)s"
    )
    parser.add_argument(
        "--threads",
        nargs="+",
        type=_threads,
        metavar="N",
        help="numbers of threads to measure with, or 'all' (default: 1 all)",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write all results to this file, or with - print them"
    )
    parser.add_argument(
        "--plot",
        metavar="FILE",
        help=f"draw the family 'growth' ({_distribution.install_command('plot')})",
    )
    parser.set_defaults(run=_bench)


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    from fastnn import dropin

    parser.add_argument(
        "--as",
        dest="name",
        required=True,
        choices=dropin.NAMES,
        help="dlfs: the book as in its Korean repository; dlfs-ja: in its Japanese one; "
        "cs231n: the course's assignments 1 and 2",
    )
    parser.add_argument("script", metavar="SCRIPT", help="path of the script")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help="arguments of the script"
    )
    parser.set_defaults(run=_run)


# What the list of commands says of each, what its own help says, its arguments.
_COMMANDS = {
    "info": (
        "print what fastnn finds here: CPU, threads, cache, versions",
        "Print the CPU and its vector width, threads, cache folder and versions.",
        _info_arguments,
    ),
    "warmup": (
        "compile all kernels now, so that no later process has to",
        "Compile all kernels for float32 and float64 and keep them in the cache folder "
        "(FASTNN_CACHE_DIR), so that no later process of this installation has to. Takes a minute "
        "or two the first time, on two CPUs.",
        _warmup_arguments,
    ),
    "bench": (
        "time fastnn against NumPy, PyTorch and JAX on this machine",
        "Time fastnn against NumPy and, where they are installed, PyTorch, JAX and scikit-learn "
        "(pip install torch jax optax scikit-learn): all in turns, on the same threads, after "
        "their results were compared. Takes many minutes for each number of threads.",
        _bench_arguments,
    ),
    "run": (
        "run an unmodified script of Deep Learning from Scratch or CS231n on fastnn",
        "Run a Python script as it is. What it imports from common and dataset (Deep Learning "
        "from Scratch) or from cs231n comes from fastnn, also where modules of these names lie "
        "beside it.",
        _run_arguments,
    ),
}


def _threads(text: str) -> int:
    from fastnn.kernels.threading import cpus

    available = int(cpus.available())
    if text == "all":
        return available
    if not text.isdecimal() or not 1 <= int(text) <= available:
        raise argparse.ArgumentTypeError(
            f"expected numbers from 1 to {available}, or 'all', got {text!r}"
        )
    return int(text)


def main(arguments: Sequence[str] | None = None, prog: str = "fastnn") -> int:
    """Run a command; return the exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the program's name; that of this process if not given.
    prog : str
        The program's name in messages.
    """
    parser = _parser(prog)
    parsed = parser.parse_args(arguments)
    if parsed.version:
        from fastnn._utils import distribution as _distribution

        print(f"fastnn {_distribution.version()}")
        return 0
    if not hasattr(parsed, "run"):  # asked for nothing
        parser.print_help()
        return 0
    try:
        code = int(parsed.run(parsed))
        print(end="", flush=True)  # here, not when the interpreter ends
        return code
    except BrokenPipeError:  # as of `fastnn info | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _print_info(parsed: argparse.Namespace) -> int:
    from fastnn._cli import info as _info

    facts = _info.info()
    print(json.dumps(facts, indent=2) if parsed.json else "\n".join(_info.lines(facts)))
    return 0


def _compile(parsed: argparse.Namespace) -> int:
    from fastnn import config
    from fastnn._cli import warmup as _warmup
    from fastnn.kernels.codegen import cache

    if config.get_backend() != "numba":
        print("nothing to compile: FASTNN_BACKEND=numpy or NUMBA_DISABLE_JIT=1 is set")
        return 1
    if parsed.dtype:  # one of the processes of the command without it
        for name, call in _warmup.steps(parsed.dtype):
            call()
            print(name, flush=True)
        return 0
    start, before = time.perf_counter(), _compiled()
    if not before:
        print("compiling all kernels for this machine, in a minute or two", flush=True)
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
    from fastnn._cli import warmup as _warmup
    from fastnn._messages.bars import Progress

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
    from fastnn._bench import plot, run, table
    from fastnn._bench.families import FAMILIES, GROUPS
    from fastnn._cli import info as _info
    from fastnn._utils import distribution as _distribution
    from fastnn.kernels.threading import cpus

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
        command = _distribution.install_command("plot")
        print(f"bench: --plot: needs matplotlib: {command}", file=sys.stderr)
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
    if parsed.plot and any(r["family"] == "growth" and "seconds" in r for r in results):
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
    from fastnn.dropin._run import run

    return run(parsed.name, parsed.script, parsed.arguments)


def _compiled() -> int:
    """Return how many compiled kernels are on disk."""
    from fastnn.kernels.codegen import cache

    return len(list(cache.folder().glob("*.bin")))
