"""Copies of networks, and running statistics that go with their parameters."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

from numpy.typing import ArrayLike

from fastnn.layers.adoption import refresh
from fastnn.layers.record import nearest_record
from fastnn.layers.state import forget, layer_state, set_layer_state, statistics_of
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
        light.last_layer = record.kind()
    light.layers = OrderedDict()
    for name, layer in network.layers.items():
        light.layers[name] = copy.copy(layer)
        forget(light.layers[name])
    return copy.deepcopy(light)


def normalised(network: Network) -> list[Any]:
    """Return the layers that have running statistics."""
    return [layer for layer in network.layers.values() if statistics_of(layer)]


def set_statistics(network: Network, x: ArrayLike) -> None:
    """Set running statistics to those of the samples, all in one batch, as in training.

    Dropout takes part; the number of its next pass stays.
    """
    norms = normalised(network)
    if not norms:
        return
    before = layer_state(network)
    found = [(name, nearest_record(layer)) for name, layer in network.layers.items()]
    draws = [f"{name}.{draw}" for name, record in found if record for draw in record.draws]
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
            for statistic in statistics_of(norm).values():
                if statistic is not None:
                    statistic[...] = 0  # 0 times NaN would be NaN
        network.predict(x, train_flg=True)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        set_layer_state(network, {key: before[key] for key in draws})
        for layer in network.layers.values():
            forget(layer)
