"""Copies of networks, and running statistics that go with their parameters."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

from numpy.typing import ArrayLike

from fastnn import layers
from fastnn.layers.adoption import adopt
from fastnn.layers.state import forget, layer_state, set_layer_state
from fastnn.networks import MultiLayerNetExtend


def expect_network(name: str, value: Any) -> MultiLayerNetExtend:
    """Return the value; raise TypeError if it is no network."""
    if not isinstance(value, MultiLayerNetExtend):
        raise TypeError(f"{name}: expected a network of fastnn.networks, got {value!r}")
    adopt(value)
    return value


def copy_of(network: MultiLayerNetExtend) -> MultiLayerNetExtend:
    """Return a network with copies of all arrays, without what training has left in it.

    Its last layer is an ordinary one of the kind.
    """
    light = object.__new__(type(network))  # copy.copy may move parameters, also ours
    light.__dict__.update(vars(network))
    light.history = None
    for kind in (layers.SoftmaxWithLoss, layers.IdentityWithLoss):
        if isinstance(network.last_layer, kind):
            light.last_layer = kind()
    light.layers = OrderedDict()
    for name, layer in network.layers.items():
        light.layers[name] = copy.copy(layer)
        forget(light.layers[name])
    return copy.deepcopy(light)


def normalised(network: MultiLayerNetExtend) -> list[layers.BatchNormalization]:
    """Return the layers that have running statistics."""
    found = network.layers.values()
    return [layer for layer in found if isinstance(layer, layers.BatchNormalization)]


def set_statistics(network: MultiLayerNetExtend, x: ArrayLike) -> None:
    """Set running statistics to those of the samples, all in one batch, as in training.

    Dropout takes part; the number of its next pass stays.
    """
    norms = normalised(network)
    if not norms:
        return
    before = layer_state(network)
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
            for statistic in (norm.running_mean, norm.running_var):
                if statistic is not None:
                    statistic[...] = 0  # 0 times NaN would be NaN
        network.predict(x, train_flg=True)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        steps = {key: value for key, value in before.items() if key.endswith(".step")}
        set_layer_state(network, steps)
        for layer in network.layers.values():
            forget(layer)
