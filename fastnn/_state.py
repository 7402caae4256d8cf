"""What a training changes in a network besides its parameters, and in an optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn import layers, optimizers
from fastnn._types import Array

LayerState = dict[str, Any]


def layer_state(network: Any) -> LayerState:
    """Return copies of the running statistics, and the numbers that choose dropout masks.

    Keys are such as ``"BatchNorm1.running_mean"``; statistics are None before the first batch.
    """
    state: LayerState = {}
    found = getattr(network, "layers", None)
    for key, layer in found.items() if isinstance(found, Mapping) else ():
        if isinstance(layer, layers.BatchNormalization):
            for name in ("running_mean", "running_var"):
                value = getattr(layer, name)
                state[f"{key}.{name}"] = None if value is None else value.copy()
        elif isinstance(layer, layers.Dropout):
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


def _plain(value: Any) -> bool:
    return isinstance(value, np.ndarray) and not value.dtype.hasobject


def optimizer_state(optimizer: optimizers.Optimizer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an optimizer's numbers and strings by name, and its dicts of arrays by name.

    Raises
    ------
    TypeError
        If it has an attribute of another kind.
    """
    settings: dict[str, Any] = {}
    arrays: dict[str, dict[str, Array] | None] = {}
    for name, value in vars(optimizer).items():
        if isinstance(value, (bool, int, float, str)):
            settings[name] = value
        elif isinstance(value, np.number):
            settings[name] = value.item()
        elif value is None or (isinstance(value, dict) and all(map(_plain, value.values()))):
            arrays[name] = value
        else:
            raise TypeError(
                f"optimizer: expected numbers, strings and dicts of arrays as attributes, "
                f"got {name} of {type(value).__name__}"
            )
    return settings, arrays
