"""Results as HTML for notebooks: a heading, tables and small curves, with every text escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["bullets", "curves", "heading", "join", "paragraph", "some_rows", "table"]

_WIDTH, _HEIGHT, _POINTS = 320, 100, 300  # pixels, and points of a curve at most
_COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728")  # to be seen on white and on black
_FIRST, _LAST = 3, 9  # rows of a long table


def _escape(text: str) -> str:
    from html import escape  # its table of all characters takes a millisecond

    return escape(text)


def join(*parts: str) -> str:
    """Return parts below each other."""
    return f"<div>{''.join(parts)}</div>"


def heading(text: str) -> str:
    """Return a heading."""
    return f"<p><b>{_escape(text)}</b></p>"


def paragraph(text: str) -> str:
    """Return a paragraph; nothing for an empty text."""
    return f"<p>{_escape(text)}</p>" if text else ""


def bullets(lines: Iterable[str]) -> str:
    """Return a list; nothing if it has no entries."""
    entries = "".join(f"<li>{_escape(line)}</li>" for line in lines)
    return f"<ul>{entries}</ul>" if entries else ""


def _cell(text: str) -> str:
    number = text.replace(",", "").rstrip("%")
    try:
        float(number)
        side = "right"
    except ValueError:
        side = "left"
    return f'<td style="text-align:{side}">{_escape(text)}</td>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, with numbers on the right of their cells."""
    first = "".join(f'<th style="text-align:left">{_escape(text)}</th>' for text in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{first}</tr></thead><tbody>{body}</tbody></table>"


def some_rows(rows: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Return all rows, or the first and the last ones of many."""
    if len(rows) <= _FIRST + _LAST:
        return list(rows)
    return [*rows[:_FIRST], ["…"] * len(rows[0]), *rows[-_LAST:]]


def curves(series: Mapping[str, Sequence[float]]) -> str:
    """Return curves by name in one small picture; nothing if there are no two finite points."""
    drawn = {}
    for name, values in series.items():
        stride = -(-len(values) // _POINTS) or 1
        points = [(i, values[i]) for i in range(0, len(values), stride) if math.isfinite(values[i])]
        if len(points) > 1:
            drawn[name] = points
    if not drawn:
        return ""
    heights = [y for points in drawn.values() for _, y in points]
    low, high = min(heights), max(heights)
    right = max(points[-1][0] for points in drawn.values())
    tall = (high - low) or 1.0
    lines: list[str] = []
    for colour, (name, points) in zip(_COLOURS, drawn.items(), strict=False):
        path = " ".join(
            f"{_WIDTH * x / right:.1f},{_HEIGHT * (high - y) / tall:.1f}" for x, y in points
        )
        lines.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            f'<text x="{_WIDTH}" y="{12 * len(lines) + 10}" text-anchor="end" fill="{colour}" '
            f'font-size="11">{_escape(name)}</text>'
        )
    axis = (
        f'<path d="M0 0V{_HEIGHT}H{_WIDTH}" fill="none" stroke="currentColor" opacity="0.4"/>'
        f'<text x="-4" y="8" text-anchor="end" fill="currentColor" font-size="11">{high:.3g}</text>'
        f'<text x="-4" y="{_HEIGHT}" text-anchor="end" fill="currentColor" font-size="11">'
        f"{low:.3g}</text>"
    )
    box = f"-60 -4 {_WIDTH + 64} {_HEIGHT + 8}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{_WIDTH + 64}" '
        f'height="{_HEIGHT + 8}">{axis}{"".join(lines)}</svg>'
    )
