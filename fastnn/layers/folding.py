"""Fewer layers that do at test time what the layers of a network do."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from fastnn.layers.planning import Unsupported
from fastnn.layers.record import record_of


class Folding:
    """Layers to come, one by one.

    Parameters
    ----------
    real : dtype

    Attributes
    ----------
    found : list of (str, layer)
        The layers so far.
    factor : float
        What the input of the next layer has still to be multiplied by.
    """

    def __init__(self, real: np.dtype[Any]) -> None:
        self.real = real
        self.found: list[tuple[str, Any]] = []
        self.factor = 1.0

    def add(self, name: str, layer: Any) -> None:
        """Add a layer as it is."""
        self.expect_no_factor(name)
        self.found.append((name, layer))

    def expect_no_factor(self, name: str) -> None:
        """Raise Unsupported if the layer would have to multiply its input."""
        if self.factor != 1:
            raise Unsupported(f"{name} follows dropout")


def scale_weights(folding: Folding, name: str, layer: Any) -> None:
    """Add a layer whose weights are multiplied, in place of its input, by what that still is to be.

    It has weights W and a bias b.
    """
    real, factor = folding.real, folding.factor
    if any(type(p) is not np.ndarray or p.dtype != real for p in (layer.W, layer.b)):
        raise Unsupported(f"{name} has parameters that are not arrays of {real}")
    W = layer.W if factor == 1 else layer.W * real.type(factor)
    scaled = copy.copy(layer)
    scaled.W, scaled.b = np.ascontiguousarray(W), np.ascontiguousarray(layer.b)
    folding.factor = 1.0
    folding.add(name, scaled)


def folded(found: list[tuple[str, Any]], real: np.dtype[Any]) -> list[tuple[str, Any]]:
    """Return layers that do at test time what these do, as their records say."""
    folding = Folding(real)
    for name, layer in found:
        record = record_of(layer)
        if record is None or record.fold is None:
            folding.add(name, layer)
        else:
            record.fold(folding, name, layer)
    if folding.factor != 1:
        raise Unsupported("dropout is the last layer")
    return folding.found
