"""The command ``bench``: time fastnn against other libraries."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path

from fastnn._bench import plot, table
from fastnn._bench import run as measurement
from fastnn._bench.families import FAMILIES, GROUPS
from fastnn._cli import info
from fastnn._utils import distribution as _distribution
from fastnn.kernels.threading import cpus

# Each takes longer than all of the short list.
ONLY_ASKED_FOR = ("startup", "chapters", "sklearn", *GROUPS["calls"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a short list, in about a minute, without the families "
        + ", ".join(f"'{name}'" for name in ONLY_ASKED_FOR)
        + " unless they are asked for; of 'startup' without what compiles",
    )
    parser.add_argument(
        "--family",
        action="append",
        choices=[*FAMILIES, *GROUPS],
        help="measure this family only; may be given several times; "
        + "; ".join(f"'{name}' is all of {', '.join(GROUPS[name])}" for name in GROUPS),
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
        "--rounds",
        type=_rounds,
        metavar="N",
        help="how often the family 'startup' starts each process (default: 10, 3 where kernels are "
        "compiled, 1 where all are), and 'chapters' (default: 5)",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write all results to this file, or with - print them"
    )
    parser.add_argument(
        "--plot",
        metavar="FILE",
        help=f"draw the family 'growth' ({_distribution.install_command('plot')})",
    )


def _threads(text: str) -> int:
    available = int(cpus.available())
    if text == "all":
        return available
    if not text.isdecimal() or not 1 <= int(text) <= available:
        raise argparse.ArgumentTypeError(
            f"expected numbers from 1 to {available}, or 'all', got {text!r}"
        )
    return int(text)


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text!r}")
    return int(text)


def run(parsed: argparse.Namespace) -> int:
    """Measure, and print or write the results; return the exit code."""
    threads = sorted(set(parsed.threads or (1, cpus.available())))
    asked = parsed.family or [f for f in FAMILIES if f not in ONLY_ASKED_FOR or not parsed.quick]
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
    results, errors = measurement.measure(
        families, parsed.dtype, threads, parsed.quick, parsed.rounds
    )
    errors += table.wrong(results)
    if parsed.plot and any(r["family"] == "growth" and "seconds" in r for r in results):
        plot.draw(results, parsed.plot)
    facts = info.info()
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
