"""The command ``info``: print what fastnn finds here."""

from __future__ import annotations

import argparse
import json

from fastnn._cli import info


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(parsed: argparse.Namespace) -> int:
    """Print the facts; return the exit code."""
    facts = info.info()
    print(json.dumps(facts, indent=2) if parsed.json else "\n".join(info.lines(facts)))
    return 0
