"""The layers of a network as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastnn._utils import html
from fastnn.layers.adoption import adopt
from fastnn.layers.sizes import Shape, is_built
from fastnn.networks import building
from fastnn.training.labels import some

_HEAD = "layer", "kind", "output", "parameters"


@dataclass(frozen=True)
class Summary:
    """A table of layers; its text prints well, and notebooks show it as a table.

    Attributes
    ----------
    rows : list of (str, str, tuple of int or None, int or None)
        Name, kind and settings, shape of the output for a sample, and number of parameters of each
        layer; None where it is not known.
    total : int or None
        Parameters of the network; those that layers share count once.
    classes : str
        The labels of the outputs, of many the first ones; "" if they are 0, 1, ...
    """

    rows: list[tuple[str, str, Shape | None, int | None]]
    total: int | None
    classes: str = ""

    def _cells(self) -> list[tuple[str, ...]]:
        cells = [
            (name, kind, "?" if shape is None else _shape(shape), _number(count))
            for name, kind, shape, count in self.rows
        ]
        return [*cells, ("total", "", "", _number(self.total))]

    def __str__(self) -> str:
        lines = [_HEAD, *self._cells()]
        *left, last = (max(map(len, column)) for column in zip(*lines, strict=True))
        text = [
            "  ".join([*map(str.ljust, cells[:-1], left), cells[-1].rjust(last)]) for cells in lines
        ]
        return "\n".join([*text, *self._below()])

    def _below(self) -> list[str]:
        return [f"classes: {self.classes}"] if self.classes else []

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html.table(_HEAD, self._cells()) + "".join(map(html.paragraph, self._below()))


def summarize(network: Any) -> Summary:
    """Return the table of a network's layers."""
    found = network.layers
    shapes: dict[str, Shape | None] = dict.fromkeys(found)
    sizes = {name: dict[int, int]() for name in found}
    total = None
    if network.input_size is not None or all(map(is_built, found.values())):
        for p in adopt(network, trained=False):
            if p.layer in sizes:
                sizes[p.layer][id(p.array)] = p.array.size
        total = sum(p.size for p in network.params.values())
    if network.input_size is not None:
        size = network.input_size
        shape = size if isinstance(size, tuple) else (size,)
        shapes = building.shapes(found, shape, network.dtype)
    counts = {name: None if total is None else sum(sizes[name].values()) for name in found}
    rows = [(name, text_of(layer), shapes[name], counts[name]) for name, layer in found.items()]
    known = network._classes
    return Summary(rows, total, "" if known is None else some(known.values))


def text_of(layer: Any) -> str:
    """Return a layer as it is written, or its kind where it has no text of its own."""
    text = repr(layer)
    return f"{type(layer).__name__}()" if text == object.__repr__(layer) else text


def _shape(shape: Shape) -> str:
    return f"({', '.join(['N', *map(str, shape)])})"


def _number(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"
