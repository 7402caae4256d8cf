"""Command line of the comparison of two commits."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from . import report
from .builds import Worker, git, give_up, install, working_tree
from .compare import compare


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Return the command line's settings."""
    parser = argparse.ArgumentParser(
        prog="perf_check", description="Compare the speed of the working tree with a commit."
    )
    parser.add_argument("--base", default="main", help="commit to compare with (main)")
    parser.add_argument("--head", help="commit to compare (the working tree)")
    parser.add_argument("--quick", action="store_true", help="a short list: each case in one size")
    parser.add_argument("--cases", default="", metavar="REGEX", help="cases whose name has this")
    parser.add_argument("--threads", type=int, default=1, help="of each side (1)")
    parser.add_argument(
        "--all", action="store_true", help="show all cases, also the many fine ones"
    )
    parser.add_argument("--summary", type=Path, help="file to add the table to as Markdown")
    return parser.parse_args(argv)


def short_list(kinds: Mapping[str, str]) -> list[str]:
    """Return the first case of each kind: of one size, in float32."""
    first: dict[str, str] = {}
    for name, kind in kinds.items():
        first.setdefault(kind, name)
    return [*first.values()]


def chosen(kinds: Mapping[str, str], arguments: argparse.Namespace) -> list[str]:
    """Return the cases to compare, of all with their kinds; exit if there is none."""
    given = short_list(kinds) if arguments.quick else [*kinds]
    cases = [name for name in given if re.search(arguments.cases, name)]
    if not cases:
        listed = "\n".join(given)
        give_up(f"no case matches {arguments.cases!r}; there are:\n{listed}")
    return cases


def main(argv: list[str] | None = None) -> int:
    """Compare, print, and return 1 if something is slower or broken, 2 if nothing was compared."""
    arguments = parse_arguments(argv)
    base = git("rev-parse", "--short", "--verify", arguments.base).decode().strip()
    if arguments.head:
        head = revision = git("rev-parse", "--short", "--verify", arguments.head).decode().strip()
    else:
        head, revision = "the working tree", working_tree()
    with tempfile.TemporaryDirectory(prefix="perf_check-") as folder:
        print(f"building {base} and {head}", file=sys.stderr)
        packages = [install(base, Path(folder, "old")), install(revision, Path(folder, "new"))]
        old, new = (partial(Worker, package, arguments.threads) for package in packages)
        with new() as worker:
            cases = chosen(worker.cases, arguments)
        results = compare(old, new, cases, progress=True)
    title = report.summary(results, base, head)
    print(report.text(results, arguments.all), title, sep="\n\n")
    if arguments.summary:
        with open(arguments.summary, "a", encoding="utf-8") as file:
            file.write(f"### Speed\n\n{title}\n\n{report.markdown(results, arguments.all)}\n")
    verdicts = {result.verdict for result in results}
    if verdicts == {"absent"}:
        give_up("nothing was compared: BASE can run none of these cases")
    return int(not verdicts.isdisjoint(("slower", "broken")))


if __name__ == "__main__":
    sys.exit(main())
