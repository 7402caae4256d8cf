"""What a training changes in the layers of a network besides their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn.layers.dropout import Dropout
from fastnn.layers.normalization import BatchNormalization

LayerState = dict[str, Any]


def named_layers(network: Any) -> dict[str, Any]:
    """Return the layers by name; none where the network does not show them."""
    found = getattr(network, "layers", None)
    return dict(found) if isinstance(found, Mapping) else {}


def layer_state(network: Any) -> LayerState:
    """Return copies of the running statistics, and the numbers that choose dropout masks.

    Keys are such as ``"BatchNorm1.running_mean"``; statistics are None before the first batch.
    """
    state: LayerState = {}
    for key, layer in named_layers(network).items():
        if isinstance(layer, BatchNormalization):
            for name in ("running_mean", "running_var"):
                value = getattr(layer, name)
                state[f"{key}.{name}"] = None if value is None else value.copy()
        elif isinstance(layer, Dropout):
            state[f"{key}.seed"], state[f"{key}.step"] = layer.seed, layer.step
    return state


def set_layer_state(network: Any, state: LayerState) -> None:
    """Bring the layers into a state; arrays that they have keep their identity."""
    for key, value in state.items():
        name, _, attribute = key.rpartition(".")
        layer = network.layers[name]
        present = getattr(layer, attribute)
        if isinstance(value, np.ndarray) and present is not None:
            present[...] = value
        else:
            setattr(layer, attribute, value.copy() if isinstance(value, np.ndarray) else value)


# What layers keep of a forward pass for the backward pass, but for the mask of dropout: that of
# others is computed when asked for.
_KEPT = ("x", "original_x_shape", "_y", "out", "_saved", "argmax")
# All that passes leave in layers.
_OF_PASSES = {
    *_KEPT, "mask", "step", "input_shape", "batch_size", "_shape",
    "dW", "db", "dgamma", "dbeta", "loss", "t", "_dx",
}  # fmt: skip


def forget(layer: Any) -> None:
    """Drop what a layer of :mod:`fastnn.layers` has kept of its last forward pass."""
    for name in _KEPT:
        if hasattr(layer, name):
            setattr(layer, name, None)
    if isinstance(layer, Dropout):
        layer.mask = None


def lasting(layer: Any) -> dict[str, Any]:
    """Return what a layer of :mod:`fastnn.layers` has that no pass replaces: arrays, settings."""
    return {name: value for name, value in vars(layer).items() if name not in _OF_PASSES}
