"""The landing page: one for each machine and environment that has results."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from . import charts
from .data import (
    FACTS,
    OVER_LIMIT,
    OVER_NUMPY,
    OVER_ONE_THREAD,
    Regression,
    Run,
    count,
    families,
    geometric_mean,
    history,
)

STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
HASH = 8  # digits of a commit that are shown


class Names:
    """How commits are shown: by digits and subject, with a link if there is a place for it.

    Parameters
    ----------
    subjects : dict
        Commit -> first line of its message.
    address : str
        What a commit is appended to for the address of its page, or "".
    """

    def __init__(self, subjects: Mapping[str, str], address: str = "") -> None:
        self._subjects, self._address = subjects, address

    def digits(self, commit: str) -> str:
        """Return a commit's first digits as HTML."""
        text = f"<code>{commit[:HASH]}</code>"
        return f'<a href="{escape(self._address + commit)}">{text}</a>' if self._address else text

    def subject(self, commit: str) -> str:
        """Return the first line of a commit's message as HTML."""
        return escape(self._subjects.get(commit, ""))


def _section(name: str, title: str, note: str, body: str) -> str:
    return (
        f'<section id="{name}"><h2>{escape(title)}</h2><p class="dim">{escape(note)}</p>'
        f"{body}</section>"
    )


def _missing(run: Run, benchmark: str) -> str:
    return (
        f'<p class="missing">No data: commit {run.commit[:HASH]} has no results of '
        f"<code>{escape(benchmark)}</code> here.</p>"
    )


def _bars(results: Mapping[str, float], scale: charts.Scale, best: float) -> str:
    """Return a bar for the mean of each family, which opens to those of its cases.

    What is shown of a result is `best` over it.
    """
    parts = []
    for name, cases in families(results).items():
        mean = best / geometric_mean(cases.values())
        inner = "".join(
            charts.bar(case.split(".", 1)[1], best / result, scale, result)
            for case, result in cases.items()
        )
        head = charts.bar(f"{name} ({len(cases)})", mean, scale)
        parts.append(f"<details><summary>{head}</summary><div>{inner}</div></details>")
    return f'<div class="chart">{charts.axis(scale)}{"".join(parts)}</div>'


def _speedups(run: Run) -> str:
    results = run.values.get(OVER_NUMPY, {})
    note = (
        "Time of the NumPy reference over that of the kernel, one thread each, measured in turns "
        "in one process. A family shows the geometric mean of its cases; open it to see them. "
        "The scale is logarithmic; a bar to the left of 1 is a case in which NumPy is faster. The "
        "references of orders and dropout draw the same random numbers as the kernels, which in "
        "NumPy is slow."
    )
    scale = charts.speedup_scale([1 / result for result in results.values()])
    body = _bars(results, scale, 1.0) if results else _missing(run, OVER_NUMPY)
    return _section("speedup", "Speed-up over NumPy", note, body)


def _limits(run: Run) -> str:
    results = run.values.get(OVER_LIMIT, {})
    note = (
        "How much of a call's time the machine needs at its limit for the same work, measured in "
        "turns: fused multiply-adds in registers where products count, a copy of as many bytes "
        "for the rest. It can be more than 100 % where a copy has to write to memory what a "
        "kernel leaves in the cache; such a bar ends at 100."
    )
    body = _bars(results, charts.PERCENT, 100.0) if results else _missing(run, OVER_LIMIT)
    return _section("limit", "Fraction of the machine's limit", note, body)


def _threads(run: Run) -> str:
    results = run.values.get(OVER_ONE_THREAD, {})
    if not results:
        return ""
    scale = charts.speedup_scale([1 / result for result in results.values()])
    bars = _bars({f"{case} threads": result for case, result in results.items()}, scale, 1.0)
    note = (
        "Time of a call on one thread over that on several, measured in turns, for each kind of "
        "call at its largest."
    )
    return _section("threads", "Speed-up by threads", note, bars)


def _history(runs: Sequence[Run]) -> str:
    cards = []
    for name, entries in history(runs, OVER_NUMPY).items():
        last = entries[-1][0].commit
        end = "" if last == runs[-1].commit else f", the last <code>{last[:HASH]}</code>"
        values = [1 / result for _, result in entries]
        titles = [
            f"{run.commit[:HASH]}, {run.date:%Y-%m-%d}: {value:.2f}x"
            for (run, _), value in zip(entries, values, strict=True)
        ]
        cards.append(
            f'<div class="card" data-label="{escape(name)}" data-points="{len(values)}">'
            f"<h3>{escape(name)}<strong>{values[-1]:.2f}x</strong></h3>"
            f'{charts.sparkline(values, titles)}<p class="dim">{values[0]:.2f}x at '
            f"<code>{entries[0][0].commit[:HASH]}</code>, {count(len(values), 'commit')}{end}"
            "</p></div>"
        )
    note = (
        "Speed-up over NumPy of each family, from its first commit to the newest: geometric mean "
        "of the cases that all of its commits have, so that it can differ from the mean above. "
        "Each commit is compared with its own reference. Logarithmic, each chart on its own scale, "
        "none of which is below a factor of 1.5 in all."
    )
    body = f'<div class="cards">{"".join(cards)}</div>' if cards else _missing(runs[-1], OVER_NUMPY)
    return _section("history", "History", note, body)


# How the ratios are called among the regressions.
SHORT = {
    OVER_NUMPY: "time over NumPy's",
    OVER_LIMIT: "time over the limit's",
    OVER_ONE_THREAD: "time over that on one thread",
}


def _step(r: Regression) -> str:
    name, _, case = r.benchmark.partition("(")
    case = case[:-1].replace("'", "")
    shown = f"{SHORT[name]}: {case}" if name in SHORT else r.benchmark
    label, unit, divisor = FACTS.get(name, (shown, "", 1.0))
    values = f"{r.before / divisor:.4g} to {r.after / divisor:.4g} {unit}"
    return (
        f'<tr data-before="{r.before!r}" data-after="{r.after!r}">'
        f'<td><a href="asv/{escape(r.link)}" title="{escape(r.benchmark)}">{escape(label)}</a></td>'
        f'<td class="n">{values}</td>'
        f'<td class="n bad">{r.after / r.before:.2f}x</td></tr>'
    )


def _by_commit(found: Sequence[Regression], names: Names) -> str:
    by_commit: dict[tuple[str, str], list[Regression]] = {}
    for r in found:  # the largest steps first
        by_commit.setdefault((r.after_commit, r.commit), []).append(r)
    groups = []
    for (start, commit), steps in by_commit.items():
        span = f"{names.digits(start)} to " if start else ""
        largest = steps[0].after / steps[0].before
        groups.append(
            f"<details{' open' if len(steps) <= 3 else ''}><summary>"
            f"{span}{names.digits(commit)} {names.subject(commit)} "
            f'<strong class="bad">{len(steps)}, up to {largest:.2f}x</strong></summary>'
            f'<div><table class="wide">{"".join(map(_step, steps))}</table></div></details>'
        )
    return "".join(groups)


def _regressions(found: Sequence[Regression], runs: Sequence[Run], names: Names) -> str:
    note = (
        f"Steps to a higher value that asv found in the results of {count(len(runs), 'commit')}, "
        "and that were not made good since. Less is better in all of them."
    )
    sure = [r for r in found if r.is_repeated(runs)]
    once = [r for r in found if not r.is_repeated(runs)]
    few = "" if sure or len(runs) >= 4 else " asv needs some commits before and after a step."
    body = _by_commit(sure, names) or f'<p class="good">None.{few}</p>'
    if once:
        body += (
            '<p class="dim" id="once">With a single result before or after the step, so that they '
            f"may be chance: {len(once)}.</p>{_by_commit(once, names)}"
        )
    title = f"Regressions: {len(sure)}" if sure else "Regressions"
    return _section("regressions", title, note, body)


def _facts(run: Run) -> str:
    rows = [
        f'<tr data-benchmark="{key}" data-result="{run.values[key][""]!r}">'
        f'<td><a href="asv/index.html#{key}">{escape(label)}</a></td>'
        f'<td class="n">{run.values[key][""] / divisor:.3g} {unit}</td></tr>'
        for key, (label, unit, divisor) in FACTS.items()
        if key in run.values
    ]
    body = f"<table>{''.join(rows)}</table>" if rows else _missing(run, "startup and memory")
    note = "Each is one number of asv's; the link leads to its graph, if this page is served."
    return _section("facts", "Start and memory", note, body)


# What asv knows of a machine, in the order in which it is shown.
MACHINE = {"machine": "name", "cpu": "processor", "num_cpu": "processors", "arch": "architecture"}


def _machine(run: Run) -> str:
    shown = {label: run.facts.get(key) for key, label in MACHINE.items()}
    memory = str(run.facts.get("ram", ""))
    if memory.isdigit():
        shown["memory"] = f"{int(memory) / 2**30:.0f} GiB"
    rest = {k: v for k, v in sorted(run.facts.items()) if k not in MACHINE and k != "ram"}
    rows = "".join(
        f'<tr><td>{escape(label)}</td><td class="n">{escape(str(value))}</td></tr>'
        for label, value in {**shown, **rest, "environment": run.environment}.items()
        if value
    )
    note = f"Where the results of commit {run.commit[:HASH]} come from."
    return _section("machine", "Machine and versions", note, f"<table>{rows}</table>")


def _summary(run: Run) -> str:
    results = run.values.get(OVER_NUMPY, {})
    if not results:
        return ""
    faster = sum(result < 1 for result in results.values())
    middle = 1 / statistics.median(results.values())
    return (
        f'<p class="lead"><strong>{middle:.1f} times</strong> as fast as the NumPy reference, on '
        f"one thread each, in the median of {len(results)} cases; faster in {faster} of them.</p>"
    )


def page(
    project: str,
    runs: Sequence[Run],
    found: Sequence[Regression],
    names: Names,
    others: Mapping[str, str],
) -> str:
    """Return the page of one machine and environment.

    Parameters
    ----------
    project : str
    runs : sequence of Run
        Its results, oldest commit first.
    found : sequence of Regression
        Those in its results.
    names : Names
    others : dict
        File -> title of the pages of other machines and environments.
    """
    newest = runs[-1]
    failed = (
        f'<p class="bad">Cases that failed at this commit: {newest.failed}; '
        "<code>asv show</code> names them.</p>"
        if newest.failed
        else ""
    )
    sure = sum(r.is_repeated(runs) for r in found)
    links = [
        ("#regressions", count(sure, "regression") if sure else "no regressions"),
        ("asv/index.html", "asv's graphs"),
        ("asv/index.html#/regressions", "asv's regressions"),
        *((file, title) for file, title in others.items()),
    ]
    nav = "".join(f'<a href="{to}">{escape(text)}</a>' for to, text in links)
    body = [
        f"<header><h1>{escape(project)}: speed</h1>{_summary(newest)}"
        f'<p class="dim">Commit {names.digits(newest.commit)} of {newest.date:%Y-%m-%d}, '
        f"{names.subject(newest.commit) or 'the newest that was measured'}. "
        f"{count(len(runs), 'commit')} measured.</p>{failed}<nav>{nav}</nav></header>",
        _speedups(newest),
        _limits(newest),
        _threads(newest),
        _history(runs),
        _regressions(found, runs, names),
        _facts(newest),
        _machine(newest),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{escape(project)}: speed</title><style>{STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )
