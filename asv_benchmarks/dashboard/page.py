"""The landing page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from .charts import bar, sparkline
from .data import (
    FACTS,
    OVER_LIMIT,
    OVER_NUMPY,
    Regression,
    Run,
    families,
    geometric_mean,
    history,
    main_environment,
)

STYLE = """
:root { --ink: #1c2430; --dim: #667080; --line: #d9dee6; --paper: #fff; --card: #f5f7fa;
  --good: #2a7f62; --bad: #c2571a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --dim: #98a2b3; --line: #333c49;
  --paper: #14181f; --card: #1c222b; --good: #4cb38f; --bad: #e58b4f; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .3rem; }
p { margin: .3rem 0 .8rem; } .dim { color: var(--dim); font-size: .9rem; }
a { color: inherit; } nav a { margin-right: 1.2rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; } td.n { text-align: right; white-space: nowrap; }
details { border-bottom: 1px solid var(--line); padding: .25rem 0; }
summary { cursor: pointer; } details > div { padding: .3rem 0 .6rem 1.1rem; }
.bar { display: grid; grid-template-columns: minmax(7rem, 22rem) 1fr 4.2rem; gap: .6rem;
  align-items: center; } summary .bar { display: inline-grid; width: calc(100% - 1.4rem);
  font-weight: 600; }
.bar span { overflow-wrap: anywhere; line-height: 1.25; } details > div .bar { font-size: .85rem; }
.bar output { text-align: right; font-variant-numeric: tabular-nums; }
.track { position: relative; height: .85rem; background: var(--card); border-radius: 3px; }
.track b { display: block; height: 100%; background: var(--good); border-radius: 3px; }
.below .track b { background: var(--bad); }
.track i { position: absolute; top: -2px; bottom: -2px; border-left: 1px solid var(--dim); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .8rem; }
.card { background: var(--card); border-radius: 6px; padding: .6rem .8rem; }
.card strong { float: right; } svg { width: 100%; height: auto; display: block; }
polyline { fill: none; stroke: var(--good); stroke-width: 1.6; } circle { fill: var(--good); }
@media (max-width: 40rem) { .bar { grid-template-columns: 1fr 3.6rem; }
  .bar .track { grid-column: 1 / -1; grid-row: 2; } body { padding: .8rem; } }
"""


def _section(title: str, note: str, body: str, name: str) -> str:
    return f'<section id="{name}"><h2>{escape(title)}</h2><p class="dim">{note}</p>{body}</section>'


def _bars(values: dict[str, float], unit: str, most: float, mark: float) -> str:
    """Return a bar for the mean of each family, which opens to those of its cases."""
    parts = []
    for name, cases in families(values).items():
        mean = geometric_mean(cases.values())
        inner = "".join(
            bar(case.split(".", 1)[1], value, unit.format(value), most, mark=mark)
            for case, value in cases.items()
        )
        head = bar(name, mean, unit.format(mean), most, mark=mark)
        parts.append(f"<details><summary>{head}</summary><div>{inner}</div></details>")
    return "".join(parts)


def _speedups(run: Run) -> str:
    values = {case: 1 / v for case, v in run.values.get(OVER_NUMPY, {}).items()}
    most = max([2.0, *(geometric_mean(c.values()) for c in families(values).values())])
    note = (
        "Time of the NumPy reference over that of the kernel, one thread each, measured in turns. "
        "A family shows the geometric mean of its cases; open it to see them. The line is at 1."
    )
    return _section("Speed-up over NumPy", note, _bars(values, "{:.2f}x", most, 1.0), "speedup")


def _limits(run: Run) -> str:
    values = {case: 100 / v for case, v in run.values.get(OVER_LIMIT, {}).items()}
    note = (
        "Of the time that a call takes, how much the machine needs at its limit, measured in "
        "turns: fused multiply-adds in registers for products, a copy of as many bytes for the "
        "rest. More than 100 % where a copy writes to memory what a kernel keeps in the cache."
    )
    return _section(
        "Fraction of the machine's limit", note, _bars(values, "{:.0f} %", 100, 0), "limit"
    )


def _history(runs: Sequence[Run]) -> str:
    cards = []
    for name, entries in history([*runs], OVER_NUMPY).items():
        values = [1 / value for _, value in entries]
        titles = [
            f"{run.commit[:8]}, {run.date:%Y-%m-%d}: {value:.2f}x"
            for (run, _), value in zip(entries, values, strict=True)
        ]
        cards.append(
            f'<div class="card" data-label="{escape(name)}" data-points="{len(values)}">'
            f"{escape(name)}<strong>{values[-1]:.2f}x</strong>{sparkline(values, titles)}</div>"
        )
    note = (
        f"Speed-up over NumPy of each family over {len(runs)} commits, geometric mean of the cases "
        "that all of them have; logarithmic, each chart on its own scale."
    )
    return _section("History", note, f'<div class="cards">{"".join(cards)}</div>', "history")


def _regressions(found: Sequence[Regression], commits: int) -> str:
    note = (
        f"Steps that asv found in the results of {commits} commits, and that were not made good: "
        "less is better in all of them."
    )
    if not found:
        return _section("Regressions", note, "<p>None.</p>", "regressions")
    rows = "".join(
        f'<tr><td><a href="asv/index.html#{quote(r.benchmark.split("(")[0])}">'
        f"{escape(r.benchmark)}</a></td>"
        f"<td><code>{(r.first[:8] + '..') if r.first else ''}{r.commit[:8]}</code></td>"
        f'<td class="n">{r.before:.4g}</td><td class="n">{r.after:.4g}</td>'
        f'<td class="n">{r.after / r.before if r.before else float("inf"):.2f}x</td></tr>'
        for r in found
    )
    head = "<tr><th>benchmark</th><th>commit</th><th>before</th><th>after</th><th>step</th></tr>"
    return _section("Regressions", note, f"<table>{head}{rows}</table>", "regressions")


def _facts(run: Run) -> str:
    rows = "".join(
        f"<tr><td>{escape(label)}</td>"
        f'<td class="n" data-benchmark="{key}">{run.values[key][""] / divisor:.3g} {unit}</td></tr>'
        for key, (label, unit, divisor) in FACTS.items()
        if key in run.values
    )
    machine = "".join(
        f'<tr><td>{escape(str(key))}</td><td class="n">{escape(str(value))}</td></tr>'
        for key, value in sorted(run.facts.items())
        if value
    )
    note = (
        f"Results of commit <code>{run.commit[:8]}</code>, environment {escape(run.environment)}."
    )
    body = f"<table>{rows}{machine}</table>"
    return _section("Start, memory, machine", note, body, "facts")


def page(runs: Sequence[Run], found: Sequence[Regression], project: str) -> str:
    """Return the landing page.

    Parameters
    ----------
    runs : sequence of Run
        All results, oldest commit first.
    found : sequence of Regression
    project : str
    """
    chosen = main_environment([*runs])
    newest = chosen[-1]
    body = [
        f"<h1>{escape(project)}: speed</h1>",
        f'<p class="dim">Commit <code>{newest.commit[:8]}</code> of {newest.date:%Y-%m-%d}, the '
        f"last of {len(chosen)} measured.</p>",
        '<nav><a href="asv/index.html">asv\'s graphs</a>'
        '<a href="asv/index.html#regressions">asv\'s regressions</a></nav>',
        _regressions(found, len({run.commit for run in runs})),
        _speedups(newest),
        _limits(newest),
        _history(chosen),
        _facts(newest),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(project)}: speed</title><style>{STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )
