"""What a network is saved as: facts, and groups of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._utils.archive import Groups
from fastnn.layers import state
from fastnn.layers.adoption import adopt, places_of
from fastnn.layers.record import record_of, records, settings_of
from fastnn.networks.sizing import sized_as

# Of the network: not what it computes, but how it is trained.
_OF_TRAINING = "weight_decay_lambda", "dropout_ration"


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
        **{name: getattr(network, name) for name in network._SETTINGS},
    }
    groups = {"params": network.params, "layers": arrays}
    if "hidden_size_list" not in facts:  # which would say all that is needed to build it
        facts["forms"] = {name: _form(layer) for name, layer in network.layers.items()}
        facts["places"] = places_of(network)
        groups["left out"] = _left_out(network)
    return {"network": facts}, groups


def stack(saved: dict[str, Any], groups: Groups) -> dict[str, Any]:
    """Return the layers of a file, made anew; KeyError for kinds that are not ours."""
    kinds = {record.kind.__name__: record for record in records()}
    arrays = {**groups["params"], **groups["left out"]}
    found = {}
    for name, kind in saved["layers"].items():
        record, form = kinds[kind], saved["forms"][name]
        settings = {each: saved["layer_settings"][f"{name}.{each}"] for each in record.settings}
        own = {each: arrays[key] for key, layer, each, _ in saved["places"] if layer == name}
        found[name] = record.kind(**own, **settings, **form)
    return found


def put(network: Any, facts: dict[str, Any], groups: Groups) -> None:
    """Bring a network to what :func:`parts` returned; raise before that if they do not fit."""
    saved = facts["network"]
    with sized_as(network, saved["input_size"]):
        _put(network, saved, groups)


def _put(network: Any, saved: dict[str, Any], groups: Groups) -> None:
    adopt(network)
    _expect("parameters", _shapes(network.params), _shapes(groups["params"]))
    if not same_layers(network, saved["layers"]):
        _expect("layers", [*layers(network).items()], [*saved["layers"].items()])
    _expect("last layer", _last_layer(network), saved["last_layer"])
    _expect("input_scale", network.input_scale, saved["input_scale"])
    states = {**saved["state"], **groups["layers"]}
    _expect("state of layers", {*state.layer_state(network)}, {*states})
    for key, p in groups["params"].items():
        network.params[key][...] = p
    ours = _left_out(network)
    for key, array in groups.get("left out", {}).items():
        if key in ours and ours[key].shape == array.shape:
            ours[key][...] = array
    state.set_layer_state(network, states)
    for name in _OF_TRAINING:
        if name in saved:
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
        if isinstance(getattr(layer, name, None), (bool, int, float, str, np.generic))
    }


def _form(layer: Any) -> dict[str, Any]:
    """Return what a layer's constructor was given besides parameters and settings."""
    record = record_of(layer)
    return {} if record is None else {name: getattr(layer, name) for name in record.form}


def _left_out(network: Any) -> dict[str, Any]:
    """Return the parameters that the user has taken out of ``network.params``."""
    return {p.key: p.array for p in network._adopted.left_out}


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
