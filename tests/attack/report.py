"""The page of a run: what is promised, which test holds it, what was done, what was found."""

from __future__ import annotations

from tests.attack import running
from tests.attack.outcome import Outcome, joined
from tests.attack.running import Run


def page(run: Run, parts: list[Outcome]) -> str:
    """Return it in Markdown, made of nothing but the run's file."""
    found = joined(parts)
    lines = [
        "# Reliability",
        "",
        "What fastnn promises, and what was done to break it. `make attack` does it all and writes "
        "this page; `make test` has a slice of each attack, and faults that it must find.",
        "",
        "A case is a function, an optimizer or a network, with arguments that chance draws from a "
        "seed, and several calls of it. That nothing was found is no proof that nothing is there.",
        "",
        "## Promises",
        "",
        *_table(
            ["attack", "promise", "made", "held", "a slice in `make test`"],
            [[_link(o), o.promise, _made(run, o), _held(o), f"`{o.test}`"] for o in found],
        ),
        "",
        *_undone(run, found),
        "## Defects found",
        "",
        *_defects(run, found),
        "",
        "## The run",
        "",
        *_sittings(run),
        "",
        "## Figures",
    ]
    for outcome in found:
        unit = running.attacks()[outcome.name].UNIT
        figures = sorted(
            outcome.figures.items(), key=lambda item: item[0] != unit
        )  # the unit first
        rows = [[name, _figure(value)] for name, value in figures]
        lines += ["", f"### {outcome.name}", "", *_table(["figure", ""], rows), ""]
        lines += [f"`{_command(run, outcome)}`, {_duration(outcome.seconds)}"]
    return "\n".join(lines) + "\n"


def _sittings(run: Run) -> list[str]:
    """Say what was attacked, when and where."""
    days = list(dict.fromkeys(each.began.partition(" ")[0] for each in run.sittings))
    commits = list(dict.fromkeys(each.commit for each in run.sittings))
    machines = list({str(each.machine): each.machine for each in run.sittings}.values())
    again = list(dict.fromkeys(name for each in run.sittings for name in each.again))
    return [
        f"On {', '.join(days)}, {_asked(run)}, seed {run.seed}. The code of `fastnn/` and "
        f"`kernels/` has the digest {run.code}, at {', '.join(commits)}."
        + (f" Made anew after the attack was mended: {', '.join(again)}." if again else "")
        + "".join(
            f" Made before that, with the digest {code}: {', '.join(names)}."
            for code, names in _earlier(run).items()
        ),
        "",
        *_table(
            ["machine", *("" for _ in machines)],
            [[name, *(each.get(name, "") for each in machines)] for name in machines[0]],
        ),
    ]


def _earlier(run: Run) -> dict[str, list[str]]:
    """Return the attacks that were made with other code, by its digest."""
    codes: dict[str, list[str]] = {}
    for name, code in run.earlier.items():
        codes.setdefault(code, []).append(name)
    return codes


def _defects(run: Run, found: list[Outcome]) -> list[str]:
    broken = [f"{outcome.name}: {text}" for outcome in found for text in outcome.failures]
    lines = [f"- {' '.join(text.split())}" for text in broken]
    if run.mended:
        before = "Found before; the attack was made anew after mending, and did not find it again:"
        lines += ["", before, ""] if lines else [f"None is left. {before}", ""]
        lines += [f"- {' '.join(text.split())}" for text in run.mended]
    return lines or ["None in this run."]


def _undone(run: Run, found: list[Outcome]) -> list[str]:
    """Say what the run was to make, and has not."""
    done = {outcome.name: running.made(outcome.name, [outcome]) for outcome in found}
    if run.minutes is None:
        less = [name for name in run.names if done.get(name, 0) < (run.asked(name) or 0)]
    else:
        less = [name for name in run.names if name not in done]
    return [f"The run is not over: {', '.join(less)}.", ""] if less else []


def _asked(run: Run) -> str:
    if run.minutes is not None:
        return f"for {run.minutes:g} minutes"
    return "in full" if run.amount is None else f"with {run.amount} of each attack"


def _made(run: Run, outcome: Outcome) -> str:
    """Return the count of an attack's units, the first of its figures, and their name."""
    made, asked = running.made(outcome.name, [outcome]), run.asked(outcome.name)
    of = f" of {asked:,}" if asked is not None and made < asked else ""
    return f"{made:,}{of} {running.attacks()[outcome.name].UNIT}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _link(outcome: Outcome) -> str:
    return f"[{outcome.name}](#{outcome.name})"


def _held(outcome: Outcome) -> str:
    return "yes" if not outcome.failures else f"no: {len(outcome.failures)} failures"


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
