"""Copies of networks."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

from numpy.typing import ArrayLike

from fastnn.layers.adoption import refresh
from fastnn.layers.record import nearest_record
from fastnn.layers.state import forget
from fastnn.networks import Network


def expect_network(name: str, value: Any, x: ArrayLike | None = None) -> Network:
    """Return the value, with the sizes of samples if it has none; TypeError if it is no network."""
    if not isinstance(value, Network):
        raise TypeError(f"{name}: expected a network of fastnn.networks, got {value!r}")
    refresh(value, x)
    return value


def copy_of(network: Network) -> Network:
    """Return a network with copies of all arrays, without what training has left in it.

    Its last layer is an ordinary one of the kind.
    """
    light = copy.copy(network)
    light.history = None
    record = nearest_record(network.last_layer)
    if record is not None and record.is_loss:
        last = network.last_layer
        there = [name for name in record.settings if name in vars(last)]
        light.last_layer = record.kind(**{name: getattr(last, name) for name in there})
    light.layers = OrderedDict()
    for name, layer in network.layers.items():
        light.layers[name] = copy.copy(layer)
        forget(light.layers[name])
    return copy.deepcopy(light)
