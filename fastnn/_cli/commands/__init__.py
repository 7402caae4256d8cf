"""The commands of ``fastnn`` and ``python -m fastnn``: a module for each.

The module of a command is imported when it is chosen: the help of all takes no time.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from fastnn._utils import distribution as _distribution

# What the list of commands says of each, and what its own help says. All else of a command is in
# the module of its name beside this one: `add_arguments`, to its parser, and `run`, which carries
# it out and returns the exit code.
_COMMANDS = {
    "info": (
        "print what fastnn finds here: CPU, threads, cache, versions",
        "Print the CPU and its vector width, threads, cache folder and versions.",
    ),
    "warmup": (
        "compile all kernels now, so that no later process has to",
        "Compile all kernels for float32 and float64 and keep them in the cache folder "
        "(FASTNN_CACHE_DIR), so that no later process of this installation has to. Takes a minute "
        "or two the first time, on two CPUs.",
    ),
    "bench": (
        "time fastnn against NumPy, PyTorch and JAX on this machine",
        "Time fastnn against NumPy and, where they are installed, PyTorch, JAX and scikit-learn "
        "(pip install torch jax optax scikit-learn): all in turns, on the same threads, after "
        "their results were compared. Takes many minutes for each number of threads.",
    ),
    "run": (
        "run an unmodified script of Deep Learning from Scratch or CS231n on fastnn",
        "Run a Python script as it is. What it imports from common and dataset (Deep Learning "
        "from Scratch) or from cs231n comes from fastnn, also where modules of these names lie "
        "beside it.",
    ),
}


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
    for name, (text, description) in _COMMANDS.items():
        commands.add_parser(name, help=text, description=description).arguments = partial(
            _add_arguments, name
        )
    return parser


def _add_arguments(name: str, parser: argparse.ArgumentParser) -> None:
    command = import_module(f"{__name__}.{name}")
    command.add_arguments(parser)
    parser.set_defaults(run=command.run)


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
        print(f"fastnn {_distribution.VERSION}")
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
