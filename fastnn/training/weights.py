"""Copies of what a training changes: of a network's parameters, and of all there is."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn._utils.types import Array
from fastnn.layers.state import LayerState, layer_state, set_layer_state
from fastnn.optimizers.updater import Updater

Arrays = dict[str, Array]


def written(into: Arrays | None, arrays: Mapping[str, Array]) -> Arrays:
    """Return copies of arrays, in the memory of other copies where these are like them."""
    into = into or {}
    copies = {}
    for key, array in arrays.items():
        kept = into.get(key)
        if kept is None or kept.shape != array.shape or kept.dtype != array.dtype:
            kept = np.empty_like(array)
        np.copyto(kept, array)
        copies[key] = kept
    return copies


class Weights:
    """A copy of the parameters of a network, their moving average, and the state of its layers.

    Parameters
    ----------
    network : Network
    averages : dict of str to ndarray, optional
    statistics_only : bool
        Whether of the layers only running statistics are taken, and not, as for a training that is
        to go on, what chooses dropout masks.
    """

    def __init__(
        self, network: Any, averages: Arrays | None = None, *, statistics_only: bool = False
    ) -> None:
        self._statistics_only = statistics_only
        self.params: Arrays = {}
        self.averages: Arrays | None = None
        self.layers: LayerState = {}
        self.take(network, averages)

    def take(self, network: Any, averages: Arrays | None) -> None:
        """Copy what there is now, into the same memory."""
        self.params = written(self.params, network.params)
        self.averages = None if averages is None else written(self.averages, averages)
        self.layers = layer_state(network)
        if self._statistics_only:
            found = self.layers.items()
            self.layers = {name: value for name, value in found if isinstance(value, np.ndarray)}

    def put(self, network: Any, averages: Arrays | None = None) -> None:
        """Write the copies back; arrays keep their identity."""
        for key, kept in self.params.items():
            if key in network.params:  # the user may have taken it out since then
                network.params[key][...] = kept
        for key, kept in (self.averages or {}).items():
            if averages is not None:
                averages[key][...] = kept
        set_layer_state(network, self.layers)

    def are_those_of(self, network: Any) -> bool:
        """Say whether the network has these parameters."""
        return self.params.keys() == network.params.keys() and all(
            np.array_equal(kept, network.params[key], equal_nan=True)
            for key, kept in self.params.items()
        )


def not_finite_in(params: Mapping[str, Array]) -> str | None:
    """Return the key of the first array that is not finite, or None."""
    with np.errstate(all="ignore"):
        for key, array in params.items():
            # A sum is not finite if a number is not, and hardly ever otherwise.
            if not (np.isfinite(array.sum()) or np.isfinite(array).all()):
                return key
    return None


class TrainingState:
    """A copy of all that steps of a training change, at one step.

    Of an optimizer that is none of fastnn's, numbers, strings and arrays are copied, also in
    dicts, which are its attributes.

    Parameters
    ----------
    network : Network
    optimizer : Updater
    averages : dict of str to ndarray, or None
        The moving average, which is written to.

    Attributes
    ----------
    step : int
        How many steps had been done; -1 before the first copy.
    """

    def __init__(self, network: Any, optimizer: Updater, averages: Arrays | None) -> None:
        self._network, self._optimizer, self._averages = network, optimizer, averages
        self._weights: Weights | None = None
        self._arrays: dict[str, Arrays] = {}
        self._settings: dict[str, Any] = {}
        self.step = -1

    def keep(self, step: int) -> None:
        """Copy what there is now, into the memory of the copy before."""
        if self._weights is None:
            self._weights = Weights(self._network, self._averages)
        else:
            self._weights.take(self._network, self._averages)
        before, self._arrays, self._settings = self._arrays, {}, {}
        for name, value in getattr(self._optimizer, "__dict__", {}).items():
            values = value.values() if isinstance(value, dict) else [value]
            if isinstance(value, dict) and all(isinstance(v, np.ndarray) for v in values):
                self._arrays[name] = written(before.get(name), value)
            elif all(map(_is_plain, values)):
                self._settings[name] = copy.deepcopy(value)
        self.step = step

    def is_finite(self) -> bool:
        """Say whether all parameters are finite."""
        return self._weights is not None and not_finite_in(self._weights.params) is None

    def put_back(self) -> None:
        """Bring network and optimizer to where they were."""
        assert self._weights is not None
        self._weights.put(self._network, self._averages)
        attributes = getattr(self._optimizer, "__dict__", {})
        attributes.update(copy.deepcopy(self._settings))
        for name, copies in self._arrays.items():
            present = attributes.get(name)
            if isinstance(present, dict) and _shapes(present) == _shapes(copies):
                for key, kept in copies.items():
                    present[key][...] = kept
            else:
                attributes[name] = written(None, copies)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, np.number, np.ndarray))


def _shapes(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {key: getattr(array, "shape", None) for key, array in arrays.items()}
