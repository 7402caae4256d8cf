"""The growth of an epoch as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn._bench.families import growth


def draw(results: Sequence[dict[str, Any]], path: str) -> None:
    """Draw times over samples and over parameters, for the largest number of threads.

    Parameters
    ----------
    results : sequence of dict
        Those of the family "growth" are drawn.
    path : str
        The file; its ending says of which kind.
    """
    from matplotlib.figure import Figure

    found = [result for result in results if result["family"] == "growth" and "seconds" in result]
    threads = max(result["threads"] for result in found)
    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, kind in zip(figure.subplots(1, 2), ("samples", "parameters"), strict=True):
        rows = [r for r in found if r["threads"] == threads and r["case"] == kind]
        counts = [growth.sizes(r)[kind == "parameters"] for r in rows]
        for name in rows[0]["seconds"]:
            axes.loglog(
                counts, [r["seconds"][name]["minimum"] * 1e3 for r in rows], "o-", label=name
            )
        first = rows[0]["seconds"]["fastnn"]["minimum"] * 1e3
        proportional = [first * count / counts[0] for count in counts]
        axes.loglog(counts, proportional, "--", color="grey", label="in proportion")
        axes.set(xlabel=kind, ylabel="ms an epoch")
        axes.legend()
    figure.suptitle(f"batch {growth.BATCH}, Adam, {threads} threads")
    figure.savefig(path, dpi=120)
