"""What PyTorch calls the arrays of a network: names as in the state dict of a Sequential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from fastnn._utils.types import Array
from fastnn.layers import (
    Affine,
    AffineRelu,
    BatchNormalization,
    BatchNormRelu,
    Convolution,
    Flatten,
    LayerNormalization,
    MaxPool,
)
from fastnn.layers.adoption import adopt
from fastnn.layers.parameters import Parameter
from fastnn.layers.record import nearest_record
from fastnn.layers.state import statistics_of

COUNT = "num_batches_tracked"  # of PyTorch's batch normalisation; ours does not count

# Of the parameters, by kind. PyTorch's Linear has a row for each output, our Affine a column.
_AFFINE = {"W": "weight", "b": "bias"}
_NORM = {"gamma": "weight", "beta": "bias"}
_NAMES: Mapping[type[Any], Mapping[str, str]] = {
    Affine: _AFFINE,
    AffineRelu: _AFFINE,
    Convolution: _AFFINE,
    LayerNormalization: _NORM,
    BatchNormalization: _NORM,
    BatchNormRelu: _NORM,
}
BIASES = "b", "beta"
FUSED = AffineRelu, BatchNormRelu  # two of PyTorch's modules each
_OF_BUILDERS = "Affine", "BatchNorm", "Activation_function", "Dropout"


class Tensor(NamedTuple):
    """An array of a network, as PyTorch has it.

    Attributes
    ----------
    name : str
        In a state dict.
    layer, attribute : str
        Where it is.
    shape : tuple of int
        PyTorch's.
    transposed : bool
        Whether ours is the transpose.
    parameter : Parameter or None
        None for running statistics, and for the number of batches.
    """

    name: str
    layer: str
    attribute: str
    shape: tuple[int, ...]
    transposed: bool = False
    parameter: Parameter | None = None

    def theirs(self, network: Any) -> Array:
        """Return the array as PyTorch has it: a view, where there is one."""
        if self.attribute == COUNT:
            return np.zeros((), np.int64)
        if self.parameter is not None:
            return self.parameter.array.T if self.transposed else self.parameter.array
        held: Array | None = getattr(network.layers[self.layer], self.attribute)
        return np.zeros(self.shape, network.dtype) if held is None else held


def modules(network: Any) -> dict[str, str]:
    """Return the name of PyTorch's module for each layer of a network.

    Layers that a user has named, in a dict, keep their names. Others are numbered as in the
    Sequential that does the same: there, an affine layer of images comes after one that flattens
    them, and a ReLU that is part of a layer after that layer.
    """
    if not all(_is_numbered(*item) for item in network.layers.items()):
        return {name: name for name in network.layers}
    found, count = {}, 0
    images = isinstance(network.input_size, tuple)
    for name, layer in network.layers.items():
        if isinstance(layer, Affine) and images:
            count += 1
        images = are_images(layer, images)
        found[name] = str(count)
        count += 1 + isinstance(layer, FUSED)
    return found


def are_images(layer: Any, before: bool) -> bool:
    """Say whether a layer gives samples of several axes, by whether it is given such."""
    if isinstance(layer, (Convolution, MaxPool)):
        return True
    return before and not isinstance(layer, (Affine, Flatten))


def _is_numbered(name: str, layer: Any) -> bool:
    """Say whether a network has given a layer its name, by its kind."""
    kind = name.rstrip("0123456789")
    return kind != name and kind in (type(layer).__name__, *_OF_BUILDERS)


def is_without_bias(network: Any, name: str) -> bool:
    """Say whether a layer comes from a module without a bias, and its own does nothing yet."""
    return name in network._without_bias and any(
        p.layer == name and p.name in BIASES and not p.array.any()
        for p in network._adopted.left_out
    )


def tensors(network: Any) -> list[Tensor]:
    """Return the arrays of a network as PyTorch has them, in order.

    Parameters of a layer of the user's own have the names that it gives them.

    Raises
    ------
    RuntimeError
        If sizes are not known yet.
    """
    adopted = [*adopt(network), *network._adopted.left_out]
    prefixes = modules(network)
    found: list[Tensor] = []
    for name, layer in [*network.layers.items(), ("last_layer", network.last_layer)]:
        prefix = prefixes.get(name, name)
        record = nearest_record(layer)
        names = {} if record is None else _NAMES.get(record.kind, {})
        order = [*names]
        hidden = BIASES if is_without_bias(network, name) else ()
        of_layer = [p for p in adopted if p.layer == name and p.name not in hidden]
        for p in sorted(of_layer, key=lambda p: order.index(p.name) if p.name in order else -1):
            turned = isinstance(layer, Affine) and p.name == "W" and not p.declared
            shape = p.array.shape[::-1] if turned else p.array.shape
            theirs = p.name if p.declared else names.get(p.name, p.name)
            found.append(Tensor(f"{prefix}.{theirs}", name, p.name, shape, turned, p))
        statistics = statistics_of(layer)
        shape = np.shape(layer.gamma) if statistics else ()
        found += [Tensor(f"{prefix}.{each}", name, each, shape) for each in statistics]
        if statistics:
            found.append(Tensor(f"{prefix}.{COUNT}", name, COUNT, ()))
    return found
