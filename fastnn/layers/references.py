"""Where objects of the user's own hold arrays, so that copies of a network can share them again.

Pickles keep what is shared; those of joblib make of one array as many as there are places.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from fastnn._utils.types import Array
from fastnn.layers.parameters import all_layers
from fastnn.layers.record import record_of
from fastnn.ops._arrays import own

_MOST = 64  # items of a dict or a list: others may be long, and grow

# What of a network others look after.
_KNOWN = frozenset({"params", "layers", "last_layer", "history", "_adopted"})

# From an object to an array: for each step whether it is an attribute, and its name or key.
Path = tuple[tuple[bool, Any], ...]


class Reference(NamedTuple):
    """A place where an object of the user's own holds an array.

    Attributes
    ----------
    layer : str
        Name of the layer; "" for the network itself.
    path : tuple
    holder : object
        What holds the array, at the last step of the path.
    array : ndarray
    """

    layer: str
    path: Path
    holder: Any
    array: Array

    def put(self, array: Array) -> None:
        """Put another array into the place."""
        is_attribute, name = self.path[-1]
        if is_attribute:
            setattr(self.holder, name, array)
        else:
            self.holder[name] = array


def references(network: Any) -> Iterator[Reference]:
    """Yield where layers of the user's own, and the network beside its layers, hold arrays."""
    seen = {id(layer) for _, layer in all_layers(network)}
    yield from _within("", network, (), seen)
    for name, layer in all_layers(network):
        if record_of(layer) is None:
            yield from _within(name, layer, (), seen)


def _within(layer: str, holder: Any, path: Path, seen: set[int]) -> Iterator[Reference]:
    found: list[tuple[bool, Any, Any]]
    if isinstance(holder, dict):
        found = [(False, key, value) for key, value in islice(holder.items(), _MOST)]
    elif isinstance(holder, list):
        found = [(False, i, value) for i, value in enumerate(holder[:_MOST])]
    else:
        skipped = frozenset() if layer else _KNOWN
        attributes = list(getattr(holder, "__dict__", {}).items())
        found = [(True, name, value) for name, value in attributes if name not in skipped]
    for is_attribute, name, value in found:
        there = (*path, (is_attribute, name))
        if isinstance(value, np.ndarray):
            yield Reference(layer, there, holder, value)
        elif id(value) not in seen and (isinstance(value, (dict, list)) or _is_layer(value)):
            seen.add(id(value))
            yield from _within(layer, value, there, seen)


def _is_layer(value: Any) -> bool:
    return hasattr(value, "forward") and hasattr(value, "backward")


def share(network: Any, places: list[tuple[str, str, Path]], arrays: dict[str, Array]) -> None:
    """Put arrays, by key, into places, and copies of others where they can only be read.

    Parameters
    ----------
    network : Network
    places : list of (key, layer, path)
    arrays : dict of str to ndarray
    """
    key_of = {(layer, path): key for key, layer, path in places}
    copies: dict[int, Array] = {}
    for found in list(references(network)):
        key = key_of.get((found.layer, found.path))
        array = arrays.get(key) if key is not None else None
        if array is None:
            array = copies.setdefault(id(found.array), own(found.array))
        if array is not found.array:
            found.put(array)
