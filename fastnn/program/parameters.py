"""What a training program updates: the parameters of a network and the states of an optimizer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import optimizers
from fastnn._utils.types import Array, Float64s
from fastnn.layers.adoption import is_ours
from fastnn.layers.parameters import parameters_of
from fastnn.layers.planning import Unsupported
from fastnn.layers.record import record_of
from fastnn.layers.state import statistics_of
from fastnn.program.memory import Layout, aligned

_METHODS = ("predict", "loss", "gradient", "_weights")


def known_layers(network: Any) -> list[tuple[str, Any]]:
    """Return the layers by name, if all are of the types that programs are made of."""
    if not is_ours(network):
        raise Unsupported(f"{type(network).__name__} is not a network of fastnn")
    for name in _METHODS:
        if network._has_own(name):
            raise Unsupported(f"{type(network).__name__} has a method {name} of its own")
    for name, layer in (*network.layers.items(), ("last_layer", network.last_layer)):
        record = record_of(layer)
        known = record and (record.is_loss if name == "last_layer" else record.forward)
        if not known:
            raise Unsupported(f"{name} is of type {type(layer).__name__}")
        for method in ("forward", "backward"):
            if method in vars(layer):
                raise Unsupported(f"{name} has a method {method} of its own")
    found = list(network.layers.items())
    if len({id(layer) for _, layer in found}) < len(found):
        raise Unsupported("a layer is there under two names")
    if not any(parameters_of(layer) for _, layer in found):
        raise Unsupported("no layer has parameters")
    return found


def parameter_keys(network: Any, found: list[tuple[str, Any]]) -> dict[tuple[str, str], str]:
    """Return the key in `network.params` of each layer's parameter, (layer, name)."""
    of_array = {id(array): key for key, array in network.params.items()}
    keys = {}
    for name, layer in found:
        for attribute, array in parameters_of(layer).items():
            if id(array) not in of_array:
                raise Unsupported(f"{name}.{attribute} is none of the arrays in params")
            if not is_plain(array, network.dtype, array.shape):
                raise Unsupported(
                    f"{name}.{attribute} is not a contiguous, writable array of {network.dtype}"
                )
            keys[name, attribute] = of_array[id(array)]
    if sorted(keys.values()) != sorted(network.params):
        raise Unsupported("params has arrays that no layer has, or that two layers share")
    for name, layer in found:
        for attribute, statistics in statistics_of(layer).items():
            shape = next(iter(parameters_of(layer).values())).shape
            if statistics is not None and not is_plain(statistics, network.dtype, shape):
                raise Unsupported(
                    f"{name}.{attribute} is not a contiguous, writable array of {network.dtype}"
                )
    return keys


def is_plain(array: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bool:
    """Say whether compiled code can write to an array of this dtype and shape."""
    return (
        type(array) is np.ndarray
        and array.dtype == dtype
        and array.dtype.isnative
        and array.shape == shape
        and bool(array.flags.carray)
    )


def _expect_apart(arrays: list[Array]) -> None:
    """Raise Unsupported if two of the arrays, which are contiguous, share memory."""
    spans = sorted((a.ctypes.data, a.ctypes.data + a.nbytes) for a in arrays if a.nbytes)
    if any(end > begin for (_, end), (begin, _) in pairwise(spans)):
        raise Unsupported("two parameters, or states of the optimizer, share memory")


class Parameters:
    """The parameters with all that belongs to them, each kind in one flat buffer.

    Attributes
    ----------
    arrays : dict of str to ndarray
        ``network.params``.
    keys : dict
        Of a layer's parameter, (layer, name), in `arrays`.
    begins : dict of str to int
        Where a parameter's gradient begins in the flat buffer of gradients.
    size : int
        Length of such a buffer.
    states : dict of str to dict of str to ndarray
        The optimizer's, by its names for them.
    averages : dict of str to ndarray, or None
    rule : str
        Name of the optimizer's rule.
    """

    def __init__(
        self, network: Any, found: list[tuple[str, Any]], optimizer: Any, averaged: bool
    ) -> None:
        if type(optimizer) not in optimizers.OPTIMIZERS.values():
            raise Unsupported(f"the optimizer is of type {type(optimizer).__name__}")
        if "update" in vars(optimizer):
            raise Unsupported("the optimizer has a method update of its own")
        self._optimizer = optimizer
        self.rule: str = optimizer.rule.name
        self._real = network.dtype
        self._layout: Layout[str] = Layout(network.params)
        self.begins, self.size = self._layout.begins, self._layout.size
        self.averages: dict[str, Array] | None = None
        self.take(network, found)
        if averaged:
            self.averages = self._views()
            for key, average in self.averages.items():
                average[...] = network.params[key]

    def take(self, network: Any, found: list[tuple[str, Any]]) -> None:
        """Take the arrays that the network and the optimizer have now."""
        self.arrays: dict[str, Array] = network.params
        self.keys = parameter_keys(network, found)
        self.states: dict[str, dict[str, Array]] = {}
        for name in self._optimizer.rule.states:
            self.states[name] = self._state(getattr(self._optimizer, name) or {})
        arrays = [self.arrays, *self.states.values()]
        _expect_apart([state[key] for state in arrays for key in self.begins])

    def _views(self) -> dict[str, Array]:
        return self._layout.views(aligned((self.size,), self._real))

    def _state(self, given: dict[str, Array]) -> dict[str, Array]:
        """Return a state as it is, or a copy that compiled code can write to."""
        if all(is_plain(given.get(key), p.dtype, p.shape) for key, p in self.arrays.items()):
            return given
        views = self._views()
        for key, view in views.items():
            if key in given:
                if np.shape(given[key]) != view.shape:
                    raise Unsupported(f"the optimizer's state for {key} has another shape")
                view[...] = given[key]
        return {**given, **views}

    def install(self) -> None:
        """Give the states to the optimizer."""
        for name, state in self.states.items():
            setattr(self._optimizer, name, state)

    def settings(self, rates: Float64s) -> NDArray[np.float64]:
        """Return a row of the rule's settings, in the kernel's order, for each of these rates."""
        optimizer = self._optimizer
        now = optimizer.rule.settings_of(optimizer)
        settings = np.empty((rates.size, len(now)))
        settings[...] = now
        for name, values in {"lr": rates, **optimizer._counters(rates.size)}.items():
            settings[:, list(optimizer.rule.settings).index(name)] = values
        return settings
