"""The page of a run: what is promised, which test holds it, what was done, what was found."""

from __future__ import annotations

from tests.attack.outcome import Outcome, joined
from tests.attack.running import Run


def page(run: Run, parts: list[Outcome]) -> str:
    """Return it in Markdown, made of nothing but the run's file."""
    found = joined(parts)
    broken = [outcome for outcome in found if outcome.failures]
    lines = [
        "# Reliability",
        "",
        "What fastnn promises, and what was done to break it. "
        "`make attack` runs it all and writes this page.",
        "",
        f"Run of {run.started}, of the code at {run.code}, seed {run.seed}, {_asked(run)}.",
        "",
        *_table(["machine", ""], [[name, value] for name, value in run.machine.items()]),
        "",
        "## Promises",
        "",
        *_table(
            ["attack", "promise", "held in this run", "a slice of it in `make test`"],
            [[_link(o), o.promise, _held(o), f"`{o.test}`"] for o in found],
        ),
        "",
        "## Figures",
    ]
    for outcome in found:
        rows = [[name, _figure(value)] for name, value in outcome.figures.items()]
        lines += ["", f"### {outcome.name}", ""]
        lines += [f"`{_command(run, outcome)}` ({outcome.seconds:.0f} s)", ""]
        lines += _table(["", ""], rows)
    lines += ["", "## Defects found", ""]
    lines += ["None in this run."] if not broken else []
    for outcome in broken:
        lines += [f"- {outcome.name}: {' '.join(text.split())}" for text in outcome.failures]
    missing = [name for name in run.names if name not in {outcome.name for outcome in found}]
    if missing:
        lines += ["", f"The run was stopped before: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def _asked(run: Run) -> str:
    if run.minutes is not None:
        return f"for {run.minutes:g} minutes"
    return "in full" if run.amount is None else f"with {run.amount} of each attack"


def _link(outcome: Outcome) -> str:
    return f"[{outcome.name}](#{outcome.name})"


def _held(outcome: Outcome) -> str:
    return "yes" if not outcome.failures else f"no: {len(outcome.failures)} ways"


def _figure(value: int | float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _command(run: Run, outcome: Outcome) -> str:
    made = "--full" if run.amount is None and run.minutes is None else ""
    made = made or (f"--minutes {run.minutes:g}" if run.minutes else f"--amount {run.amount}")
    return f"python -m tests.attack {outcome.name} {made} --seed {run.seed}"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(str(c).replace("|", "\\|") for c in row) + " |" for row in cells]
