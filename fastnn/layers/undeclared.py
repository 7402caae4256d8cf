"""Arrays that layers of the user's own hold and do not name as parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from fastnn._utils.types import Array
from fastnn.layers.parameters import all_layers, items, where_of
from fastnn.layers.record import record_of

_LAYERS = 64  # that are looked for within one: other lists may be long, and grow

# What people call the gradient of an array, by the array's name.
_GRADIENTS = ("d{}", "d_{}", "grad_{}", "{}_grad", "g_{}", "{}_gradient")


class Undeclared(NamedTuple):
    """An array that a layer of the user's own holds and does not name as a parameter.

    `inner` says that a layer within it does.
    """

    layer: str
    path: str
    owner: Any
    name: str
    array: Array
    inner: bool = False

    def looks_learnable(self) -> bool:
        """Say whether it has outlasted a pass that has left a gradient beside it."""
        if self.inner:
            return True
        return getattr(self.owner, self.name, None) is self.array and bool(self.gradient())

    def gradient(self) -> str:
        """Return the name under which a gradient stands beside it, "" if there is none."""
        for form in _GRADIENTS:
            value = getattr(self.owner, form.format(self.name), None)
            if isinstance(value, np.ndarray) and value.shape == self.array.shape:
                return form.format(self.name)
        return ""

    def message(self, why: str) -> str:
        """Return what is wrong, and what to do."""
        return (
            f"{where_of(self.layer)}: expected a layer that names its parameters, got one with "
            f"{self.path}, {why}, and without an attribute params: give the layer "
            f"params = {{{self.name!r}: array}} and, from backward on, "
            f"grads = {{{self.name!r}: gradient}}; or params = {{}} if it is not to be trained"
        )


def undeclared(network: Any) -> list[Undeclared]:
    """Return the arrays that own layers hold, also in layers within them, and do not name."""
    found: list[Undeclared] = []
    for name, layer in all_layers(network):
        if record_of(layer) is None and getattr(layer, "params", None) is None:
            found += _held(name, "", layer, set())
    known = {id(p.array) for p in network._adopted.parameters if not p.declared}
    return [held for held in found if held.path != held.name or id(held.array) not in known]


def _held(layer: str, path: str, owner: Any, seen: set[int]) -> Iterator[Undeclared]:
    seen.add(id(owner))
    declared = items(owner, "params") if path else None
    if declared is not None:
        for name, array in declared.items():
            yield Undeclared(layer, f"{path}params[{name!r}]", owner, name, array, inner=True)
        return
    for name, value in list(getattr(owner, "__dict__", {}).items()):
        if isinstance(value, np.ndarray):
            if value.dtype.kind == "f":
                yield Undeclared(layer, f"{path}{name}", owner, name, value)
            continue
        inner = {name: value}
        if isinstance(value, Mapping):
            inner = {f"{name}[{key!r}]": item for key, item in islice(value.items(), _LAYERS)}
        elif isinstance(value, (list, tuple)):
            inner = {f"{name}[{i}]": item for i, item in enumerate(value[:_LAYERS])}
        for where, item in inner.items():
            if hasattr(item, "forward") and hasattr(item, "backward") and id(item) not in seen:
                yield from _held(layer, f"{path}{where}.", item, seen)


def expect_declared(held: list[Undeclared]) -> None:
    """Raise ValueError if backward has left a gradient for an array that is no parameter."""
    for each in held:
        if each.looks_learnable():
            why = "a parameter of a layer within it"
            if not each.inner:
                why = f"for which backward has left {each.gradient()}"
            raise ValueError(each.message(why))
