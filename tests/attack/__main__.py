"""``python -m tests.attack [names]``: runs attacks, shows and keeps their outcomes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.attack import machine, report, running
from tests.attack.outcome import Outcome, joined


def main(argv: list[str] | None = None) -> int:
    """Run what the arguments ask for; return 1 where a promise did not hold."""
    asked = _arguments(argv)
    path, known = asked.jsonl, running.attacks()
    if unknown := sorted({*asked.names, *asked.again, *asked.mended} - {*known}):
        raise SystemExit(f"no attack {', '.join(unknown)}: there are {', '.join(known)}")
    here = running.Sitting.now(asked.again)
    if asked.resume:
        run, done = running.read(path)
        if others := sorted({*asked.names, *asked.again, *asked.mended} - {*run.names}):
            raise SystemExit(f"{path}: a run without {', '.join(others)}")
        if asked.mended:
            run.mend(asked.mended, done, machine.code())
        elif (now := machine.code()) != run.code:
            raise SystemExit(f"{path}: a run of the code {run.code}; here it is {now}")
        done = [part for part in done if part.name not in (*asked.again, *asked.mended)]
        run.sittings.append(here)
    else:
        amount = None if asked.full or asked.minutes else asked.amount
        names = asked.names or list(known)
        code = machine.code()
        run = running.Run(names, asked.seed, amount, asked.minutes, code, [here], {}, [])
        done = []
    if path:
        path.write_text("".join(f"{each.line()}\n" for each in (run, *done)))  # no line is cut
    parts = list(done)
    where = f"{here.commit}, {here.machine['vector width']}"
    print(f"attack on the code {run.code}, at {where}, seed {run.seed}", flush=True)
    try:
        for part in running.outcomes(run, done, asked.names):
            parts.append(part)
            if path:
                with path.open("a") as lines:
                    lines.write(part.line() + "\n")
            _show(part)
    except KeyboardInterrupt:
        print(f"stopped; --jsonl {path} --continue goes on" if path else "stopped")
    if asked.report:
        asked.report.parent.mkdir(parents=True, exist_ok=True)
        asked.report.write_text(report.page(run, parts))
    found = joined(parts)
    for outcome in found:
        held = f"{len(outcome.failures)} FAILURES" if outcome.failures else "held"
        print(f"{outcome.name:<14} {held:<12} {outcome.seconds:8.1f} s  {_figures(outcome)}")
    return 1 if any(outcome.failures for outcome in found) else 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("names", nargs="*", help="attacks, by module; all if none is named")
    how_much = parser.add_mutually_exclusive_group()
    how_much.add_argument("--amount", type=int, default=1000, help="units of each (1000)")
    how_much.add_argument("--full", action="store_true", help="as many of each as it says")
    how_much.add_argument("--minutes", type=float, help="for all together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path, help="the page to write, in Markdown")
    parser.add_argument("--jsonl", type=Path, help="the file of outcomes, a line each")
    parser.add_argument(
        "--continue",
        dest="resume",
        action="store_true",
        help="go on with the run in --jsonl, or with its attacks that are named",
    )
    parser.add_argument(
        "--again",
        action="append",
        default=[],
        metavar="NAME",
        help="with --continue: an attack of which all is made anew, as it was wrong itself",
    )
    parser.add_argument(
        "--mended",
        action="append",
        default=[],
        metavar="NAME",
        help="with --continue: an attack of which all is made anew, as what it found was mended; "
        "the code is another then, and the page says which attacks were made before",
    )
    asked = parser.parse_args(argv)
    if asked.resume and not asked.jsonl:
        parser.error("--continue needs --jsonl")
    if (asked.again or asked.mended) and not asked.resume:
        parser.error("--again and --mended need --continue")
    return asked


def _show(part: Outcome) -> None:
    print(f"{part.name}: {part.seconds:.1f} s, {_figures(part)}", flush=True)
    for failure in part.failures:
        print(f"  {failure}", flush=True)


def _figures(outcome: Outcome) -> str:
    return ", ".join(f"{value} {name}" for name, value in outcome.figures.items())


if __name__ == "__main__":
    sys.exit(main())
