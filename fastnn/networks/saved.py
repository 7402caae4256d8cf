"""What a network is saved as: facts, and groups of arrays."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from fastnn._utils import interrupts, schema
from fastnn._utils import validation as numbers
from fastnn._utils.archive import Contents
from fastnn.layers import state
from fastnn.layers.adoption import adopt, places_of
from fastnn.layers.parameters import parameters_of
from fastnn.layers.record import nearest_record, record_of, settings_of
from fastnn.layers.settings import Setting, checked
from fastnn.layers.sizes import is_built
from fastnn.networks import building
from fastnn.networks.described import LEFT_OUT, WHAT, facts_of
from fastnn.networks.sizing import sized_as
from fastnn.training.labels import Classes

# Of the network: not what it computes, but how it is trained.
_OF_TRAINING = "weight_decay_lambda", "dropout_ration"


def parts(network: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the facts and the groups of arrays that a network is saved as."""
    adopt(network)
    numbers_of_layers, arrays = state.split(state.layer_state(network))
    facts = {
        "classes": [c.__name__ for c in type(network).__mro__],
        "dtype": str(network.dtype),
        "layers": layers(network),
        "last_layer": _last_layer(network),
        "layer_settings": _layer_settings(network),
        "state": numbers_of_layers,
        **{name: getattr(network, name) for name in network._SETTINGS},
    }
    if network._classes is not None:
        facts["labels"] = [*network._classes.values]
    if settings := _loss_settings(network):
        facts["loss_settings"] = settings
    if network.feature_names is not None:
        facts["feature_names"] = [*network.feature_names]
    if network._without_bias:
        facts["without_bias"] = sorted(network._without_bias)
    groups = {"params": network.params, "layers": arrays}
    if "hidden_size_list" not in facts:  # which would say all that is needed to build it
        facts["forms"] = {name: _form(layer) for name, layer in network.layers.items()}
        facts["places"] = places_of(network)
        groups[LEFT_OUT] = _left_out(network)
    return {"network": facts}, groups


def put(network: Any, contents: Contents) -> None:
    """Bring a network to what :func:`parts` returned; raise before that if they do not fit."""
    with contents.reading(WHAT):
        saved = facts_of(contents)
    fit = _Fit(network, saved, contents)
    if network.input_size is None and saved["input_size"] is not None:
        fit.expect_sizes()
    with sized_as(network, saved["input_size"]):
        fit.expect_values()
        fit.put()


class _Fit:
    """A network, and a file that is to be of one like it."""

    def __init__(self, network: Any, saved: dict[str, Any], contents: Contents) -> None:
        self._network, self._saved, self._contents = network, saved, contents
        self._params, self._left_out = contents.groups["params"], contents.groups.get(LEFT_OUT, {})
        self._states = {**saved["state"], **contents.groups["layers"]}

    def expect_sizes(self) -> None:
        """Raise ValueError unless arrays of the file are such as the size of its input asks for."""
        self._expect_layers()
        if "places" not in self._saved:
            self._expect("input_size", None, self._saved["input_size"])
        with self._contents.reading(WHAT):
            self._expect_arrays()

    def _expect_layers(self) -> None:
        network, saved = self._network, self._saved
        if not same_layers(network, saved["layers"]):
            self._expect("layers", [*layers(network).items()], [*saved["layers"].items()])

    def _expect_arrays(self) -> None:
        arrays = {**self._params, **self._left_out}
        trial = {name: copy.copy(layer) for name, layer in self._network.layers.items()}
        for key, name, attribute, _ in self._saved["places"]:
            record = nearest_record(trial.get(name))
            if record is not None and attribute in record.parameters and key in arrays:
                setattr(trial[name], attribute, arrays[key])
        for name, layer in trial.items():
            if nearest_record(layer) is not None and not is_built(layer):
                raise ValueError(f"network.places: expected the parameters of {name}, got none")
        size = self._saved["input_size"]
        building.shapes(trial, size if isinstance(size, tuple) else (size,), self._network.dtype)

    def expect_values(self) -> None:
        """Raise ValueError if parameters, states or settings cannot be put into the network."""
        network, saved = self._network, self._saved
        adopt(network)
        self._expect("parameters", _shapes(network.params), _shapes(self._params))
        self._expect_layers()
        self._expect("last layer", _last_layer(network), saved["last_layer"])
        self._expect("input_scale", network.input_scale, saved["input_scale"])
        for key, p in {**_left_out(network), **network.params}.items():
            if not p.flags.writeable:
                raise ValueError(f"network: params[{key!r}]: expected an array to write to")
        self._expect("state of layers", {*state.layer_state(network)}, {*self._states})
        with self._contents.reading(WHAT):
            self._expect_states()
            self._expect_settings()

    def _expect_states(self) -> None:
        for key, value in self._states.items():
            name, _, attribute = key.rpartition(".")
            layer = self._network.layers[name]
            record = nearest_record(layer)
            assert record is not None  # has names of states
            if attribute in record.draws:
                checked(type(layer), attribute, f"network.state[{key!r}]", value)
                continue
            present = getattr(layer, attribute)
            like = next(iter(parameters_of(layer).values())) if present is None else present
            shape = np.shape(like)
            if value is None or (np.shape(value) == shape and value.dtype in ("f4", "f8")):
                if value is not None and attribute in record.sizes:
                    schema.not_negative(f"layers/{key}", value)
                continue
            raise ValueError(
                f"layers/{key}: expected floating numbers of shape {shape}, got "
                f"{numbers.brief(value)}"
            )

    def _expect_settings(self) -> None:
        last, of_loss = self._network.last_layer, self._saved.get("loss_settings", {})
        known = () if record_of(last) is None else settings_of(last)
        schema.same_names("network.loss_settings", {*known, *of_loss}, known)
        for name, value in of_loss.items():
            checked(type(last), name, f"network.loss_settings[{name!r}]", value)
        ours = _layer_settings(self._network)
        given = self._saved["layer_settings"]
        where = "network.layer_settings"
        for key, value in given.items():
            name, _, attribute = key.rpartition(".")
            layer = self._network.layers.get(name)
            if layer is None or attribute not in settings_of(layer):
                raise ValueError(f"{where}: expected settings of the layers, got {key!r}")
            if isinstance(getattr(type(layer), attribute, None), Setting):
                checked(type(layer), attribute, f"{where}[{key!r}]", value)
                continue
            present = getattr(layer, attribute, None)
            schema.alike(f"{where}[{key!r}]", value, present)
            if _is_fixed(layer, attribute) and value != present:
                raise ValueError(f"{where}[{key!r}]: expected {present!r}, which cannot be set")
        for key in ours:
            name, _, attribute = key.rpartition(".")
            if key not in given and nearest_record(self._network.layers[name]) is not None:
                raise ValueError(f"{where}: expected {key}, got none")

    def put(self) -> None:
        """Bring the network to what the file has."""
        with interrupts.held():  # all or nothing
            self._put()

    def _put(self) -> None:
        network, saved = self._network, self._saved
        for key, p in self._params.items():
            network.params[key][...] = p
        ours = _left_out(network)
        for key, array in self._left_out.items():
            if key in ours and ours[key].shape == array.shape:
                ours[key][...] = array
        state.set_layer_state(network, self._states)
        for name in _OF_TRAINING:
            if name in saved:
                setattr(network, name, saved[name])
        labels = saved.get("labels")
        network._classes = None if labels is None else Classes(labels)
        network.feature_names = saved.get("feature_names")
        network._without_bias = frozenset(saved.get("without_bias", ()))
        record = record_of(network.last_layer)
        if record is not None and record.settings:
            usual = {name: getattr(record.kind(), name) for name in record.settings}
            for name, value in {**usual, **saved.get("loss_settings", {})}.items():
                setattr(network.last_layer, name, value)
        for key, value in saved["layer_settings"].items():
            name, _, attribute = key.rpartition(".")
            if not _is_fixed(network.layers[name], attribute):
                setattr(network.layers[name], attribute, value)

    def _expect(self, name: str, ours: Any, theirs: Any) -> None:
        if ours != theirs:
            raise ValueError(
                f"network: {name}: expected {theirs}, as in the file {self._contents.source}, "
                f"got {ours}"
            )


def _is_fixed(layer: Any, attribute: str) -> bool:
    """Say whether an attribute is a property of the user's that cannot be set."""
    found = getattr(type(layer), attribute, None)
    return isinstance(found, property) and found.fset is None


def _last_layer(network: Any) -> str:
    """Return the type of the last layer; for one that stands in for a while, what it stands for."""
    last = network.last_layer
    return getattr(last, "stands_for", None) or type(last).__name__


def _loss_settings(network: Any) -> dict[str, Any]:
    """Return settings of the last layer that are not the usual ones, if it is one of ours."""
    last, record = network.last_layer, record_of(network.last_layer)
    if record is None:
        return {}
    usual, found = record.kind(), {name: getattr(last, name) for name in record.settings}
    return {name: value for name, value in found.items() if value != getattr(usual, name)}


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
