"""What a training changes in the layers of a network besides their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn.layers.record import nearest_record
from fastnn.ops._arrays import own

LayerState = dict[str, Any]


class Trained:
    """What layers with arrays share: in copies these can be written, also in those of mapped files.

    joblib maps the arrays of what it hands to its workers, to be read only.
    """

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        record = nearest_record(self)
        assert record is not None
        for name in record.parameters + record.statistics:
            if isinstance(attributes.get(name), np.ndarray):
                attributes = {**attributes, name: own(attributes[name])}
        vars(self).update(attributes)


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
        record = nearest_record(layer)
        for name in () if record is None else record.state:
            value = getattr(layer, name)
            state[f"{key}.{name}"] = value.copy() if isinstance(value, np.ndarray) else value
    return state


def split(state: LayerState) -> tuple[LayerState, dict[str, Array]]:
    """Return numbers, and arrays, of a state apart, as files have them."""
    arrays = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
    return {key: value for key, value in state.items() if key not in arrays}, arrays


def statistics_of(layer: Any) -> dict[str, Any]:
    """Return the running statistics of a layer by name, None before the first batch."""
    record = nearest_record(layer)
    return {} if record is None else {name: getattr(layer, name) for name in record.statistics}


@contextmanager
def statistics_kept(layers: Iterable[Any]) -> Iterator[None]:
    """Put the running statistics of layers back at the end."""
    arrays = [a for layer in layers for a in statistics_of(layer).values() if a is not None]
    before = [array.copy() for array in arrays]
    try:
        yield
    finally:
        for array, values in zip(arrays, before, strict=True):
            array[...] = values


def set_layer_state(network: Any, state: LayerState) -> None:
    """Bring the layers into a state; arrays that they can write to keep their identity."""
    for key, value in state.items():
        name, _, attribute = key.rpartition(".")
        layer = network.layers[name]
        present = getattr(layer, attribute)
        arrays = isinstance(value, np.ndarray) and isinstance(present, np.ndarray)
        if arrays and present.flags.writeable:
            present[...] = value
        elif not (arrays and np.array_equal(present, value, equal_nan=True)):
            setattr(layer, attribute, value.copy() if isinstance(value, np.ndarray) else value)


def forget(layer: Any) -> None:
    """Drop what one of our layers, or one that extends it, has kept of its last forward pass."""
    record = nearest_record(layer)
    for name in () if record is None else record.kept:
        setattr(layer, name, None)


def lasting(layer: Any) -> dict[str, Any]:
    """Return what a layer of :mod:`fastnn.layers` has that no pass replaces: arrays, settings."""
    record = nearest_record(layer)
    of_pass = frozenset[str]() if record is None else record.of_pass
    return {name: value for name, value in vars(layer).items() if name not in of_pass}


def normalised(network: Any) -> list[Any]:
    """Return the layers that have running statistics."""
    return [layer for layer in network.layers.values() if statistics_of(layer)]


def set_statistics(network: Any, x: ArrayLike) -> None:
    """Set running statistics to those of the samples, all in one batch, as in training.

    Dropout takes part; the number of its next pass stays. Those of one sample stay as they are, as
    it has no variance.
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
        for name, layer in network.layers.items():
            if getattr(layer, "is_alone", False):  # which left them as they were, at zero
                kept = (f"{name}.{statistic}" for statistic in statistics_of(layer))
                set_layer_state(network, {key: before[key] for key in kept})
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        set_layer_state(network, {key: before[key] for key in draws})
        for layer in network.layers.values():
            forget(layer)
