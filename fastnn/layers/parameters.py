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
from fastnn.kernels.calls.update_routine import read_as_dict
from fastnn.layers.record import nearest_record, record_of
from fastnn.ops.updates.owner import Owner


@read_as_dict
class Params(dict[str, Array]):
    """The parameters of one network by key, by which optimizers know it again.

    Attributes
    ----------
    owner : Owner
        A copy has another one, as it is of another network; ``copy()`` gives a plain dict.
    """

    __slots__ = ("owner",)

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.owner = Owner()

    def __reduce__(self) -> tuple[Any, ...]:
        return Params, (dict(self),)

    __copy__ = dict.copy


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
    """Return the parameters of a layer of :mod:`fastnn.layers`, or of one that extends it."""
    record = nearest_record(layer)
    return {} if record is None else {name: getattr(layer, name) for name in record.parameters}


def decayed_of(layer: Any) -> tuple[str, ...] | None:
    """Return the names of a layer's parameters that weight decay acts on; None if it says nothing.

    Raises
    ------
    TypeError
        If a layer of the user's own says it otherwise than in a list or a tuple of names.
    """
    record = record_of(layer)
    if record is not None:
        return record.decayed
    names = getattr(layer, "decayed", None)
    if names is not None and not isinstance(names, (list, tuple, set, frozenset)):
        raise TypeError(
            f"{type(layer).__name__}.decayed: expected a list of names of parameters, got {names!r}"
        )
    return None if names is None else tuple(map(str, names))


def is_decayed(key: str, layer: Any, name: str, array: Array) -> bool:
    """Say whether weight decay acts on a parameter.

    A layer says it: ours by their record, one of the user's own by its attribute `decayed`. Without
    that it does if the name in the key begins with W; of arrays without names, those of a list, to
    those of two and more axes.
    """
    decayed = decayed_of(layer)
    if decayed is not None:
        return name in decayed
    return is_weight(key, array)


def is_weight(key: str, array: Array) -> bool:
    """Say whether an array that no layer says more of is one of weights."""
    return is_weight_name(key) or (_name(key).isdigit() and array.ndim > 1)


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


def put(layer: Any, name: str, array: Array, declared: bool) -> None:
    """Put an array in the place of a parameter, in ``layer.params`` if it is `declared` there."""
    if not declared:
        setattr(layer, name, array)
    elif isinstance(layer.params, Mapping):
        params: Any = layer.params
        params[next(key for key in params if str(key) == name)] = array
    elif isinstance(layer.params, list):
        layer.params[int(name)] = array
    else:
        i = int(name)
        layer.params = (*layer.params[:i], array, *layer.params[i + 1 :])


def gradients(found: list[Parameter]) -> dict[str, Array]:
    """Return the gradients that a backward pass has left in the layers, by key: new arrays."""
    grads: dict[str, Array] = {}
    for p in found:
        g = getattr(p.owner, f"d{p.name}") if record_of(p.owner) else p.gradient()
        grads[p.key] = grads[p.key] + g if p.key in grads else g  # of two layers that share it
    return grads
