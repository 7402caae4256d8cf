"""How often the comparison is wrong: a commit against itself, and with a slow-down planted.

``python -m perf_check.evaluate --quick`` in the folder ``asv_benchmarks`` prints how many of
20 runs of a commit against itself fail, and how many of 10 notice a case that takes 15 % longer.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from .__main__ import chosen, parse_arguments
from .builds import Worker, git, install
from .compare import compare


class Slowed(Worker):
    """A worker one case of which takes longer: what the clock says is multiplied."""

    def __init__(self, package: Path, threads: int, case: str, factor: float) -> None:
        super().__init__(package, threads)
        self._case, self._factor = case, factor

    def run(self, case: str, calls: int) -> dict[str, Any]:
        """Return the worker's answer, with a longer time for the planted case."""
        answer = super().run(case, calls)
        if case == self._case:
            answer["seconds"] *= self._factor
        return answer


def main() -> None:
    """Run the comparisons and print what they found."""
    parser = argparse.ArgumentParser(prog="perf_check.evaluate", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="of a commit against itself")
    parser.add_argument("--planted", type=int, default=10, help="runs with a slow-down planted")
    parser.add_argument("--factor", type=float, default=1.15, help="of the planted slow-down")
    own, rest = parser.parse_known_args()
    arguments = parse_arguments(rest)
    commit = git("rev-parse", "--short", arguments.head or "HEAD").decode().strip()
    with tempfile.TemporaryDirectory(prefix="perf_check-") as folder:
        package = install(commit, Path(folder))
        same = partial(Worker, package, arguments.threads)
        with same() as worker:
            cases = chosen(worker.cases, arguments)
        failed = caught = first = 0
        for run in range(own.runs):
            verdicts = [result.verdict for result in compare(same, same, cases, progress=False)]
            failed += "slower" in verdicts
            first += sum(verdict in ("slower", "unconfirmed") for verdict in verdicts)
            print(
                f"{commit} against itself, run {run + 1}: "
                f"{verdicts.count('slower')} of {len(verdicts)} cases slower, "
                f"{verdicts.count('unconfirmed')} unconfirmed",
                flush=True,
            )
        for run in range(own.planted):
            name = cases[run * len(cases) // own.planted]
            slowed = partial(Slowed, package, arguments.threads, name, own.factor)
            results = compare(same, slowed, cases, progress=False)
            slower = [result for result in results if result.verdict == "slower"]
            found = any(result.case == name for result in slower)
            caught += found
            print(
                f"{own.factor} planted in {name}: {'caught' if found else 'missed'}, "
                f"{sum(result.case != name for result in slower)} other cases slower",
                flush=True,
            )
    print(
        f"{len(cases)} cases. Against itself: {failed} of {own.runs} runs failed "
        f"({first} cases looked slower in the first pair of processes). "
        f"Planted: {caught} of {own.planted} caught."
    )
    sys.exit(bool(failed) or caught < 0.9 * own.planted)


if __name__ == "__main__":
    main()
