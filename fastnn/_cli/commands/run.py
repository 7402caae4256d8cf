"""The command ``run``: run an unmodified script of the book or the course on fastnn."""

from __future__ import annotations

import argparse

from fastnn import dropin
from fastnn.dropin import _run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "--as",
        dest="name",
        default="auto",
        choices=("auto", *dropin.NAMES),
        help="dlfs: the book as in its Korean repository; dlfs-ja: in its Japanese one; "
        "cs231n: the course's assignments 1 and 2; auto (the default): dlfs and cs231n",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--explain",
        dest="tells",
        action="store_const",
        const="all",
        default="kept",
        help="say what of the script's own common, dataset or cs231n runs on fastnn, what is kept",
    )
    what.add_argument(
        "--strict",
        dest="tells",
        action="store_const",
        const="error",
        help="end with an error if something of them is kept as it is there",
    )
    parser.add_argument("script", metavar="SCRIPT", help="path of the script")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help="arguments of the script"
    )


def run(parsed: argparse.Namespace) -> int:
    """Run the script; return its exit code."""
    return _run.run(parsed.name, parsed.script, parsed.arguments, parsed.tells)
