"""Results as tables of text."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from fastnn._bench.families import FAMILIES
from fastnn._bench.layout import align, best_limit, microseconds

UNITS = {"flop": ("GFLOP/s", "FMA"), "byte": ("GB/s", "copy")}


PACKAGES = {
    "fastnn": "fastnn",
    "NumPy": "numpy",
    "PyTorch": "torch",
    "JAX": "jax",
    "scikit-learn": "scikit-learn",
}

EXPLANATION = (
    "Times are those of the best round. ratio: time of the fastest other library over that of",
    "fastnn, median over rounds in which all take turns. Only what was found to agree with",
    "fastnn.reference in float64 was timed.",
)


def heading(facts: dict[str, Any], results: list[dict[str, Any]]) -> list[str]:
    """Return what was measured where, and what the columns are."""
    versions, found = facts["versions"], results[0]["libraries"]
    libraries = (
        f"{name} {versions[package]}" if name in found else f"{name}: not installed"
        for name, package in PACKAGES.items()
    )
    return [
        f"{facts['cpu']['name']}, {facts['vector_bits']}-bit vectors",
        ", ".join(libraries),
        *EXPLANATION,
    ]


def _head(result: dict[str, Any]) -> list[str]:
    rate, limit = UNITS.get(result["unit"], ("", ""))
    speed = [rate, f"of {limit}"] if limit else []
    rivals = list(result["ratios"])
    return ["", "shape", "fastnn us", *speed, *(f"{name} us" for name in rivals), "ratio"]


def _limit(result: dict[str, Any], results: list[dict[str, Any]]) -> float:
    """Return the limit for a result: the best arithmetic of all, a copy of the same size."""
    if result["unit"] == "byte":
        return float(result["limit_per_second"])
    return best_limit(results)


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
        microseconds(times["fastnn"]),
        *speed,
        *(microseconds(times[name]) for name in ratios),
        f"{ratios[fastest]:.2f} {fastest}",
    ]


def _table(results: list[dict[str, Any]]) -> list[list[str]]:
    return [_head(results[0]), *(_row(result, results) for result in results)]


def _limits(results: list[dict[str, Any]]) -> str:
    unit = results[0]["unit"]
    if not unit or "limit_per_second" not in results[0]:
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
        found = list(group)
        rows = [result for result in found if "skipped" not in result and "wrong" not in result]
        module = FAMILIES[family]
        plural = "s" if threads > 1 else ""
        text += ["", f"{module.TITLE}; {found[0]['dtype']}, {threads} thread{plural}", ""]
        if rows:
            text += align(getattr(module, "table", _table)(rows))
            text += ["", *filter(None, [_limits(rows), *module.NOTES])]
        text += _missing(found)
    return text


def wrong(results: list[dict[str, Any]]) -> list[str]:
    """Return a line for each case whose results were wrong, so that no times were taken."""
    return [f"{result['family']}: {result['wrong']}" for result in results if "wrong" in result]


def _missing(results: list[dict[str, Any]]) -> list[str]:
    """Return a line for each thing that was not measured and why."""
    skipped = (
        f"not measured: {result['case']} {result['shape']}: {result['skipped']}"
        for result in results
        if "skipped" in result
    )
    left_out = (
        f"left out: {library}: {reason}"
        for result in results
        for library, reason in result.get("left_out", {}).items()
    )
    return list(
        dict.fromkeys([*(f"WRONG: {line}" for line in wrong(results)), *skipped, *left_out])
    )
