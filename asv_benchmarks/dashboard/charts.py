"""Charts as HTML and SVG, without scripts and without anything from elsewhere."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Scale:
    """Where numbers lie on the width of a chart, in percent.

    Parameters
    ----------
    least, most : float
        What lies at the left and the right end.
    origin : float
        Where bars begin.
    ticks : sequence of float
    unit : str
        How a number is written, such as ``"{:.2f}x"``.
    logarithmic : bool
    """

    least: float
    most: float
    origin: float
    ticks: Sequence[float]
    unit: str
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where a number lies; one beyond an end lies at it."""
        at = math.log if self.logarithmic else float
        value = min(max(value, self.least), self.most)
        return 100 * (at(value) - at(self.least)) / (at(self.most) - at(self.least))


_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def speedup_scale(values: Sequence[float]) -> Scale:
    """Return a logarithmic scale for all of these numbers, with bars that begin at 1."""
    first = max(bisect_right(_TICKS, min([1.0, *values])) - 1, 0)
    last = min(bisect_left(_TICKS, max([2.0, *values])), len(_TICKS) - 1)
    ticks = _TICKS[first : last + 1]
    return Scale(ticks[0], ticks[-1], 1.0, ticks, "{:.2f}x", logarithmic=True)


PERCENT = Scale(0.0, 100.0, 0.0, (0, 25, 50, 75, 100), "{:.0f} %")


def axis(scale: Scale) -> str:
    """Return the line with the numbers of a scale."""
    marks = "".join(
        f'<i style="left:{scale.place(tick):.2f}%">{tick:g}</i>' for tick in scale.ticks
    )
    return f'<div class="bar axis"><span></span><div class="track">{marks}</div></div>'


def bar(label: str, value: float, scale: Scale, result: float | None = None) -> str:
    """Return a line with a label, a bar from the scale's origin to the value, and the value.

    Bars to the left of the origin are of another colour. `result` is the number of the result
    file that the value was made of, if it was made of one; it is shown under the pointer.
    """
    start, end = sorted((scale.place(scale.origin), scale.place(value)))
    below = " below" if value < scale.origin else ""
    source = "" if result is None else f' data-result="{result!r}" title="result: {result!r}"'
    grid = "".join(f'<i style="left:{scale.place(tick):.2f}%"></i>' for tick in scale.ticks)
    return (
        f'<div class="bar{below}" data-label="{escape(label)}"{source}>'
        f'<span>{escape(label)}</span><div class="track">{grid}'
        f'<b style="left:{start:.2f}%;width:{end - start:.2f}%"></b></div>'
        f'<span class="value">{escape(scale.unit.format(value))}</span></div>'
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
