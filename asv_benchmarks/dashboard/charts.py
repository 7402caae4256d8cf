"""Charts as HTML and SVG, without scripts and without anything from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape


def bar(label: str, value: float, text: str, most: float, *, mark: float | None = None) -> str:
    """Return a line with a label, a bar of a length in proportion to the value, and its text.

    Parameters
    ----------
    label, text : str
    value : float
    most : float
        The value of a bar over the whole width.
    mark : float, optional
        Where to draw a line across, such as at 1; bars that end before it are of another colour.
    """
    width = min(100.0, 100 * value / most)
    line = "" if mark is None else f'<i style="left:{100 * mark / most:.2f}%"></i>'
    below = " below" if mark is not None and value < mark else ""
    return (
        f'<div class="bar{below}" data-label="{escape(label)}" data-value="{value:.6g}">'
        f"<span>{escape(label)}</span>"
        f'<div class="track"><b style="width:{width:.2f}%"></b>{line}</div>'
        f"<output>{escape(text)}</output></div>"
    )


WIDTH, HEIGHT, MARGIN = 260, 56, 6


def sparkline(values: Sequence[float], titles: Sequence[str]) -> str:
    """Return a small line chart of positive values, on a logarithmic scale.

    Parameters
    ----------
    values : sequence of float
    titles : sequence of str
        What is shown of a point where the pointer is on it.
    """
    logs = [math.log(value) for value in values]
    # A change of a few percent is noise: it must not fill the chart.
    span = max(max(logs) - min(logs), math.log(1.5))
    middle = (max(logs) + min(logs)) / 2
    step = (WIDTH - 2 * MARGIN) / max(len(values) - 1, 1)
    points = [
        (MARGIN + i * step, HEIGHT / 2 - (y - middle) / span * (HEIGHT - 2 * MARGIN))
        for i, y in enumerate(logs)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{escape(title)}</title></circle>'
        for (x, y), title in zip(points, titles, strict=True)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(titles[0])} to {escape(titles[-1])}">'
        f'<polyline points="{line}"/>{dots}</svg>'
    )
