"""The parameters of a layer: arrays that are trained, and their gradients.

Layers of :mod:`fastnn.layers` have theirs as attributes, `W` and `b` or `gamma` and `beta`, and
gradients beside them, `dW` and so on. A layer of the user's own names them in two attributes:
`params`, a dict of names and arrays, or a list; and `grads`, with a gradient for each, from
backward on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from fastnn._utils.types import Array
from fastnn.layers.activations import Relu, Sigmoid, Tanh
from fastnn.layers.affine import Affine, AffineRelu
from fastnn.layers.convolution import Convolution
from fastnn.layers.dropout import Dropout
from fastnn.layers.losses import IdentityWithLoss, SoftmaxWithLoss
from fastnn.layers.normalization import BatchNormalization, BatchNormRelu
from fastnn.layers.pooling import MaxPool

_ATTRIBUTES = {
    Affine: ("W", "b"),
    Convolution: ("W", "b"),
    BatchNormalization: ("gamma", "beta"),
}


OURS = frozenset(
    {
        Affine,
        AffineRelu,
        BatchNormalization,
        BatchNormRelu,
        Convolution,
        Dropout,
        MaxPool,
        Relu,
        Sigmoid,
        Tanh,
        IdentityWithLoss,
        SoftmaxWithLoss,
    }
)


class Parameter(NamedTuple):
    """An array that is trained.

    Attributes
    ----------
    key : str
        In ``network.params``.
    layer, name : str
        The layer's name, and that of the parameter within it.
    owner : layer
    array : ndarray
    declared : bool
        Whether it is in ``owner.params``, rather than an attribute.
    """

    key: str
    layer: str
    name: str
    owner: Any
    array: Array
    declared: bool

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return place_of(self.layer, self.name, "params" if self.declared else "")

    def gradient(self) -> Array:
        """Return the gradient of the last backward pass, in the parameter's dtype; a new array."""
        if self.declared:
            place, grads = place_of(self.layer, self.name, "grads"), items(self.owner, "grads")
            value = None if grads is None else grads.get(self.name)
        else:
            place = place_of(self.layer, f"d{self.name}")
            value = getattr(self.owner, f"d{self.name}", None)
        if value is None:
            raise ValueError(
                f"{place}: expected a gradient of shape {self.array.shape} after backward, got none"
            )
        given = np.asarray(value)
        if given.shape != self.array.shape or given.dtype.kind not in "fiu":
            raise ValueError(
                f"{place}: expected a gradient of shape {self.array.shape}, like {self.place}, "
                f"got {given.dtype} of shape {given.shape}"
            )
        return np.array(given, self.array.dtype)


def parameters_of(layer: Any) -> dict[str, Array]:
    """Return the parameters of a layer of :mod:`fastnn.layers` by name."""
    for kind, names in _ATTRIBUTES.items():
        if isinstance(layer, kind):
            return {name: getattr(layer, name) for name in names}
    return {}


def is_weight(key: str, p: Array) -> bool:
    """Say whether weight decay applies to a parameter.

    It does if the name within the layer begins with W; of arrays without names, those of a list,
    to those of two and more axes.
    """
    return is_weight_name(key) or (_name(key).isdigit() and p.ndim > 1)


def is_weight_name(key: str) -> bool:
    """Say whether a key is that of weights, by the name within the layer."""
    return _name(key).startswith("W")


def _name(key: str) -> str:
    return key.rpartition(".")[2]


def where_of(layer: str) -> str:
    """Return how messages name a layer of a network."""
    return "last_layer" if layer == "last_layer" else f"layers[{layer!r}]"


def place_of(layer: str, name: str, within: str = "") -> str:
    """Return how messages name an array of a layer."""
    if not within:
        return f"{where_of(layer)}.{name}"
    return f"{where_of(layer)}.{within}[{name if name.isdigit() else repr(name)}]"


def all_layers(network: Any) -> Iterator[tuple[str, Any]]:
    """Yield names and layers of a network, the last layer with them."""
    yield from network.layers.items()
    yield "last_layer", network.last_layer


def items(layer: Any, attribute: str) -> dict[str, Any] | None:
    """Return `params` or `grads` by name; those of a list are "0", "1" and so on."""
    value = getattr(layer, attribute, None)
    if value is None or isinstance(value, Mapping):
        return None if value is None else {str(name): item for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return {str(i): item for i, item in enumerate(value)}
    raise TypeError(
        f"{type(layer).__name__}.{attribute}: expected a dict of names and arrays, or a list of "
        f"arrays, got {value!r}"
    )


def gradients(found: list[Parameter]) -> dict[str, Array]:
    """Return the gradients that a backward pass has left in the layers, by key: new arrays."""
    grads: dict[str, Array] = {}
    for p in found:
        g = getattr(p.owner, f"d{p.name}") if type(p.owner) in OURS else p.gradient()
        grads[p.key] = grads[p.key] + g if p.key in grads else g  # of two layers that share it
    return grads
