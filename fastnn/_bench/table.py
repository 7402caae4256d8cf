"""Results as tables of text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from fastnn._bench.families import FAMILIES

UNITS = {"flop": ("GFLOP/s", "FMA"), "byte": ("GB/s", "copy")}


PACKAGES = {"fastnn": "fastnn", "NumPy": "numpy", "PyTorch": "torch", "JAX": "jax"}

EXPLANATION = (
    "Times are those of the best round. ratio: time of the fastest other library over that of",
    "fastnn, median over rounds in which all take turns. Before timing, all results were found",
    "to agree with fastnn.reference in float64.",
)


def heading(facts: dict[str, Any], results: list[dict[str, Any]]) -> list[str]:
    """Return what was measured where, and what the columns are."""
    versions, measured = facts["versions"], results[0]["seconds"]
    libraries = (
        f"{name} {versions[package]}" if name in measured else f"{name}: not installed"
        for name, package in PACKAGES.items()
    )
    return [
        f"{facts['cpu']['name']}, {facts['vector_bits']}-bit vectors",
        ", ".join(libraries),
        *EXPLANATION,
    ]


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows as lines: two columns of text, then numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _time(seconds: float) -> str:
    us = seconds * 1e6
    return f"{us:.1f}" if us < 100 else f"{us:,.0f}"


def _head(result: dict[str, Any]) -> list[str]:
    rate, limit = UNITS.get(result["unit"], ("", ""))
    speed = [rate, f"of {limit}"] if limit else []
    rivals = list(result["ratios"])
    return ["", "shape", "fastnn us", *speed, *(f"{name} us" for name in rivals), "ratio"]


def _limit(result: dict[str, Any], results: list[dict[str, Any]]) -> float:
    """Return the limit for a result: the best arithmetic of all, a copy of the same size."""
    if result["unit"] == "byte":
        return float(result["limit_per_second"])
    return max(float(r["limit_per_second"]) for r in results)


def _row(result: dict[str, Any], results: list[dict[str, Any]]) -> list[str]:
    times = {library: value["minimum"] for library, value in result["seconds"].items()}
    speed = []
    if result["unit"]:
        rate = result["work"] / times["fastnn"]
        speed = [f"{rate / 1e9:.1f}", f"{rate / _limit(result, results):.0%}"]
    ratios = result["ratios"]
    fastest = min(ratios, key=ratios.__getitem__)
    return [
        result["case"],
        result["shape"],
        _time(times["fastnn"]),
        *speed,
        *(_time(times[name]) for name in ratios),
        f"{ratios[fastest]:.2f} {fastest}",
    ]


def _limits(results: list[dict[str, Any]]) -> str:
    unit = results[0]["unit"]
    if not unit:
        return ""
    rates = [_limit(result, results) / 1e9 for result in results]
    if unit == "flop":
        return f"FMA: {rates[0]:.0f} GFLOP/s, in registers, the best of this run"
    return f"copy: {min(rates):.0f} to {max(rates):.0f} GB/s, of arrays as large in all"


def lines(results: list[dict[str, Any]]) -> list[str]:
    """Return a table for each family and number of threads."""

    def table_of(result: dict[str, Any]) -> tuple[int, str]:
        return result["threads"], result["family"]

    text: list[str] = []
    for (threads, family), group in groupby(results, key=table_of):
        rows = list(group)
        module = FAMILIES[family]
        plural = "s" if threads > 1 else ""
        text += ["", f"{module.TITLE}; {rows[0]['dtype']}, {threads} thread{plural}", ""]
        text += _align([_head(rows[0]), *(_row(row, rows) for row in rows)])
        text += ["", *filter(None, [_limits(rows), *module.NOTES])]
    return text
