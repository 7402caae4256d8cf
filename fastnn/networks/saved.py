"""What a network is saved as: facts, and groups of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._utils.archive import Groups
from fastnn.layers import state
from fastnn.layers.adoption import adopt
from fastnn.layers.record import settings_of

# Of the network: not what it computes, but how it is trained.
_OF_TRAINING = "weight_decay_lambda", "dropout_ration"

SETTINGS = (
    "input_size",
    "hidden_size_list",
    "output_size",
    "activation",
    "weight_decay_lambda",
    "use_dropout",
    "dropout_ration",
    "use_batchnorm",
    "input_scale",
)


def parts(network: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the facts and the groups of arrays that a network is saved as."""
    adopt(network)
    states = state.layer_state(network)
    arrays = {key: value for key, value in states.items() if isinstance(value, np.ndarray)}
    facts = {
        "classes": [c.__name__ for c in type(network).__mro__],
        "dtype": str(network.dtype),
        "layers": layers(network),
        "last_layer": _last_layer(network),
        "layer_settings": _layer_settings(network),
        "state": {key: value for key, value in states.items() if key not in arrays},
        **{name: getattr(network, name) for name in SETTINGS},
    }
    return {"network": facts}, {"params": network.params, "layers": arrays}


def put(network: Any, facts: dict[str, Any], groups: Groups) -> None:
    """Bring a network to what :func:`parts` returned; raise before that if they do not fit."""
    adopt(network)
    saved = facts["network"]
    _expect("parameters", _shapes(network.params), _shapes(groups["params"]))
    if not same_layers(network, saved["layers"]):
        _expect("layers", [*layers(network).items()], [*saved["layers"].items()])
    _expect("last layer", _last_layer(network), saved["last_layer"])
    _expect("input_scale", network.input_scale, saved["input_scale"])
    states = {**saved["state"], **groups["layers"]}
    _expect("state of layers", {*state.layer_state(network)}, {*states})
    for key, p in groups["params"].items():
        network.params[key][...] = p
    state.set_layer_state(network, states)
    for name in _OF_TRAINING:
        setattr(network, name, saved[name])
    for key, value in saved["layer_settings"].items():
        name, _, attribute = key.rpartition(".")
        setattr(network.layers[name], attribute, value)


def _last_layer(network: Any) -> str:
    """Return the type of the last layer; for one that stands in for a while, what it stands for."""
    last = network.last_layer
    return getattr(last, "stands_for", None) or type(last).__name__


def _layer_settings(network: Any) -> dict[str, Any]:
    return {
        f"{key}.{name}": getattr(layer, name)
        for key, layer in network.layers.items()
        for name in settings_of(layer)
        if isinstance(getattr(layer, name, None), (bool, int, float, np.generic))
    }


def layers(network: Any) -> dict[str, str]:
    """Return the types of a network's layers by name."""
    return {name: type(layer).__name__ for name, layer in network.layers.items()}


def same_layers(network: Any, theirs: dict[str, str]) -> bool:
    """Say whether a network has layers of these names and types, in this order."""
    return [*layers(network).items()] == [*theirs.items()]


def _shapes(params: Any) -> dict[str, Any]:
    return {key: (p.shape, str(p.dtype)) for key, p in params.items()}


def _expect(name: str, ours: Any, theirs: Any) -> None:
    if ours != theirs:
        raise ValueError(f"network: {name}: expected {theirs}, as in the file, got {ours}")
