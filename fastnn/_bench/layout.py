"""Cells and columns of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Result = dict[str, Any]


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows as lines: two columns of text, then numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def number(value: float) -> str:
    """Return a number with three digits or more."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def microseconds(seconds: float) -> str:
    """Return a time in microseconds."""
    us = seconds * 1e6
    return f"{us:.1f}" if us < 100 else f"{us:,.0f}"


def rivals(results: Iterable[Result]) -> list[str]:
    """Return the names of all libraries that fastnn is compared with, in order."""
    return list(dict.fromkeys(name for result in results for name in result["ratios"]))


def best_limit(results: Iterable[Result]) -> float:
    """Return the limit of arithmetic: the best that was measured."""
    return max(float(result["limit_per_second"]) for result in results)
