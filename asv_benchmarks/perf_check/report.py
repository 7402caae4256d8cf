"""Results as a table for people: on the command line and, in Markdown, for a pull request."""

from __future__ import annotations

from .compare import Result
from .pairs import LIMIT

_ORDER = ("broken", "slower", "unconfirmed", "undecided", "absent", "fine")
_SHOWN = 12  # of the cases that are fine


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f}"


def _row(result: Result) -> list[str]:
    if result.reason:
        which = "BASE" if result.verdict == "absent" else "this commit"
        return [result.case, "", "", "", "", f"{result.verdict}: {which}: {result.reason}"]
    found = result.interval
    return [
        result.case,
        _us(result.seconds),
        f"{found.median:.3f}",
        f"{found.low:.3f} to {found.high:.3f}",
        str(len(result.ratios)),
        result.verdict,
    ]


HEAD = ["case", "us before", "ratio", "interval", "pairs", "verdict"]


def rows(results: list[Result], all_cases: bool) -> list[list[str]]:
    """Return the rows of the table: what is not fine first, then by ratio."""
    ordered = sorted(
        results,
        key=lambda r: (_ORDER.index(r.verdict), -(r.interval.median if r.ratios else 0)),
    )
    if not all_cases:
        notable = sum(result.verdict != "fine" for result in results)
        ordered = ordered[: notable + _SHOWN]
    return [_row(result) for result in ordered]


def summary(results: list[Result], base: str, head: str) -> str:
    """Return one sentence on all cases."""
    count = {name: sum(r.verdict == name for r in results) for name in _ORDER}
    compared = len(results) - count["absent"] - count["broken"]
    text = f"{head} against {base}: {compared} cases compared, {count['slower']} slower than "
    text += f"{LIMIT:.2f} times the time before"
    if count["unconfirmed"]:
        text += f", {count['unconfirmed']} more not confirmed by a second pair of processes"
    if count["undecided"]:
        text += f", {count['undecided']} undecided"
    if count["absent"]:
        text += f"; {count['absent']} that BASE cannot run"
    if count["broken"]:
        text += f"; {count['broken']} that only BASE can run"
    return text + "."


def text(results: list[Result], all_cases: bool) -> str:
    """Return the table as plain text."""
    table = [HEAD, *rows(results, all_cases)]
    widths = [max(len(row[i]) for row in table) for i in range(5)]
    lines = []
    for row in table:
        cells = [row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in range(1, 5)), row[5]]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown(results: list[Result], all_cases: bool) -> str:
    """Return the table as Markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "| --- | --: | --: | --: | --: | --- |"]
    for row in rows(results, all_cases):
        cells = [cell.replace("|", "\\|") for cell in row]
        if cells[5].startswith(("slower", "broken")):
            cells[5] = f"**{cells[5]}**"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
