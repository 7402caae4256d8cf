"""The arguments of a function, as its docstring describes them: kinds, shapes, what is written."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

ARRAYS = ("array_like", "ndarray")


@dataclass(frozen=True)
class Argument:
    """One argument.

    Parameters
    ----------
    name, kind, text : str
        Its name, its type, and what else the docstring says.
    shapes : tuple of str
        Of an array, each that it may have: "N, D", or "like x", or nothing where it has any.
    written : bool
        Whether the function may change it.
    optional : bool
        Whether it can be None.
    """

    name: str
    kind: str
    text: str
    shapes: tuple[str, ...]
    written: bool
    optional: bool

    @property
    def is_array(self) -> bool:
        """Whether it is an array."""
        return self.kind.startswith(ARRAYS)

    @property
    def is_output(self) -> bool:
        """Whether it is an array of which only the place counts."""
        return self.written and self.optional

    @property
    def same_as(self) -> tuple[str, ...]:
        """What it may be itself, though it is written."""
        found = re.search(r"may be ((?:`\w+`(?: itself)?(?: or )?)+)", self.text)
        return tuple(re.findall(r"`(\w+)`", found[1])) if found else ()


def arguments(function: Callable) -> dict[str, Argument]:
    """Return a function's arguments by name, in its order; each must be described."""
    described = _described(function)
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        argument = described[name]
        optional = argument.is_array and parameter.default is None
        written = argument.written or (optional and argument.kind.startswith("ndarray"))
        shapes = argument.shapes or _usual(name, described)
        found[name] = replace(argument, written=written, optional=optional, shapes=shapes)
    return found


def _usual(name: str, described: dict[str, Argument]) -> tuple[str, ...]:
    """Return the shape of what is described without one: a gradient's is that of its array."""
    if name == "out" and described["x"].kind == "array_like":
        return ("like x",)
    if name[0] == "d" and name[1:] in described:
        return (f"like {name[1:]}",)
    if name == "dx" and "y" in described:
        return ("like y",)
    return ()


def _described(function: Callable) -> dict[str, Argument]:
    text = _section(inspect.getdoc(function) or "", "Parameters")
    found: dict[str, Argument] = {}
    # Consecutive names without text share that of the last: "pool_h, pool_w : int" for one.
    for head, body in _entries(text):
        names, _, kind = head.partition(" : ")
        other = re.search(r"As for :func:`(\w+)`", body)
        if other and not kind:
            home = inspect.getmodule(function)
            theirs = _described(getattr(home, other[1]))
            found |= {name: theirs[name] for name in names.split(", ")}
            continue
        names_ = names.split(", ")
        for name, shapes in zip(names_, _shapes(kind, body, len(names_)), strict=True):
            written = bool(re.search(r"\bupdated\b", body))
            found[name] = Argument(name, kind, body, shapes, written, False)
    return found


def _section(text: str, name: str) -> str:
    found = re.search(rf"^{name}\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", text, re.S | re.M)
    return found[1] if found else ""


def _entries(text: str) -> list[tuple[str, str]]:
    entries: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line and not line.startswith(" "):
            entries.append((line, []))
        elif entries:
            entries[-1][1].append(line.strip())
    return [(head, " ".join(body)) for head, body in entries]


def _shapes(kind: str, body: str, count: int) -> list[tuple[str, ...]]:
    """Return for each of so many arguments the shapes that it may have."""
    like = re.search(r"shaped like `(\w+)`", kind + " " + body)
    if like:
        return [(f"like {like[1]}",)] * count
    groups = tuple(text.strip(", ") for text in re.findall(r"\(([^)]*)\)", kind))
    if "shapes" in kind:
        return [(group,) for group in groups]
    return [groups] * count
