"""The parameters of a network: what its layers name as such, by the keys of ``network.params``.

Layers of :mod:`fastnn.layers` have theirs as attributes, `W` and `b` or `gamma` and `beta`, and
gradients beside them, `dW` and so on. A layer of the user's own names them in two attributes:
`params`, a dict of names and arrays, or a list; and `grads`, with a gradient for each, from
backward on. Attributes that hold arrays of ``network.params`` count as named, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from fastnn import layers
from fastnn._types import Array

_ATTRIBUTES = {
    layers.Affine: ("W", "b"),
    layers.Convolution: ("W", "b"),
    layers.BatchNormalization: ("gamma", "beta"),
}
_USUAL = ("W", "b", "gamma", "beta")
_LAYERS = 64  # that are looked for within one: other lists may be long, and grow
# What people call the gradient of an array, by the array's name.
_GRADIENTS = ("d{}", "d_{}", "grad_{}", "{}_grad", "g_{}", "{}_gradient")
OURS = frozenset(kind for kind in vars(layers).values() if isinstance(kind, type))


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
        return _place(self.layer, self.name, "params" if self.declared else "")

    def gradient(self) -> Array:
        """Return the gradient of the last backward pass, in the parameter's dtype; a new array."""
        if self.declared:
            place, grads = _place(self.layer, self.name, "grads"), items(self.owner, "grads")
            value = None if grads is None else grads.get(self.name)
        else:
            place = _place(self.layer, f"d{self.name}")
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


class Adopted(NamedTuple):
    """When ``network.params`` was last brought in line with the layers.

    Attributes
    ----------
    parameters : list of Parameter
    names : list of str
    objects : list of layer
        With the last layer; empty unless all are of :mod:`fastnn.layers`, whose parameters are
        known.
    left_out : list of Parameter
        Those that the user has taken out of `params`, so that they are not trained.
    """

    parameters: list[Parameter]
    names: list[str]
    objects: list[Any]
    left_out: list[Parameter]


NOTHING = Adopted([], [], [], [])


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


def _where(layer: str) -> str:
    return "last_layer" if layer == "last_layer" else f"layers[{layer!r}]"


def _place(layer: str, name: str, within: str = "") -> str:
    if not within:
        return f"{_where(layer)}.{name}"
    return f"{_where(layer)}.{within}[{name if name.isdigit() else repr(name)}]"


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


def _all_layers(network: Any) -> Iterator[tuple[str, Any]]:
    yield from network.layers.items()
    yield "last_layer", network.last_layer


def _named(name: str, layer: Any, known: Mapping[int, str]) -> tuple[dict[str, Array], bool]:
    """Return what a layer names as its parameters, and whether it does so in `params`."""
    found = None if type(layer) in OURS else items(layer, "params")
    declared = found is not None
    if found is None:
        found = parameters_of(layer)
        for key in () if type(layer) in OURS else (*getattr(layer, "__dict__", {}), *_USUAL):
            value: Any = getattr(layer, key, None)
            if id(value) in known:
                found[key] = value
    for key, array in found.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(
                f"{_place(name, key, 'params' if declared else '')}: expected an array of a "
                f"floating dtype, got {kind}"
            )
    return found, declared


def adopt(network: Any, trained: bool = True) -> list[Parameter]:
    """Bring ``network.params`` in line with the layers that are there; return all parameters.

    A key stays with its array, wherever that is by now. An array that takes the place of another
    has its key, others ``"<layer>.<name>"``. Keys of layers that are gone go, too, and those that
    the user has taken out stay out. With a `gradient` of its own a network may have other keys, and
    any network if it is not to be `trained`.

    Raises
    ------
    ValueError, TypeError
        If layers and `params` contradict each other; nothing has been changed then.
    """
    if _is_current(network):
        return network._adopted.parameters  # type: ignore[no-any-return]
    params: dict[str, Array] = network.params
    last: Adopted = network._adopted
    before: dict[str, Parameter] = {p.key: p for p in (*last.parameters, *last.left_out)}
    places = {(p.layer, p.name): p.key for p in before.values()}
    _expect_layers(network)
    known = {id(array): key for key, array in params.items()}
    found: list[Parameter] = []
    for name, layer in _all_layers(network):
        named, declared = _named(name, layer, known)
        for attribute, array in named.items():
            key = places.get((name, attribute))
            if key is None or params.get(key) is not array:
                key = known.get(id(array), "")
            found.append(Parameter(key, name, attribute, layer, array, declared))
    keys = {p.key for p in found}
    for i, p in enumerate(found):
        if not p.key:
            key = known.get(id(p.array)) or _new_key(p, keys, places, params, before)
            known[id(p.array)] = key
            keys.add(key)
            found[i] = p._replace(key=key)
    out = {p.key for p in found if p.key not in params and _was(before, p)}
    left_out = [p for p in found if p.key in out]
    found = [p for p in found if p.key not in out]
    of_layers = {p.key: p.array for p in found}
    others = params.keys() - of_layers.keys()
    if others and trained and not network._has_own("gradient"):
        for key in params:
            if key in others:
                _expect_gone(network, key, before)
        for key in others:
            del params[key]
    if any(params.get(key) is not array for key, array in of_layers.items()):
        params.update(of_layers)
    _ask_for_gradients(network)
    objects = [layer for _, layer in _all_layers(network)]
    ours = all(type(layer) in OURS for layer in objects)
    network._adopted = Adopted(found, [*network.layers], objects if ours else [], left_out)
    return found


def _was(before: Mapping[str, Parameter], p: Parameter) -> bool:
    return p.key in before and before[p.key].array is p.array


def places_of(network: Any) -> list[tuple[str, str, str, bool]]:
    """Return key, layer, name and whether it is declared, of each parameter, for :func:`relink`."""
    last: Adopted = network._adopted
    return [(p.key, p.layer, p.name, p.declared) for p in (*last.parameters, *last.left_out)]


def relink(network: Any, places: list[tuple[str, str, str, bool]]) -> None:
    """Bring a copy to where its original was, with the layers and arrays that the copy has.

    Where layers and ``network.params`` have come apart, as in joblib's copies, layers get the
    arrays of `params`. What was left out of `params` still is.
    """
    owners: dict[str, Any] = dict(_all_layers(network))
    found, left_out = [], []
    for key, layer, name, declared in places:
        if layer not in owners:
            continue
        array, owner = network.params.get(key), owners[layer]
        held: Any = getattr(owner, name, None)
        if declared:
            held = (items(owner, "params") or {}).get(name)
        if held is None:
            continue
        if array is None:
            left_out.append(Parameter(key, layer, name, owner, held, declared))
            continue
        if held is not array and np.shape(held) == array.shape:
            if declared:
                container = owner.params
                container[name if isinstance(container, Mapping) else int(name)] = array
            else:
                setattr(owner, name, array)
        found.append(Parameter(key, layer, name, owner, array, declared))
    network._adopted = Adopted(found, [], [], left_out)


def is_ours(network: Any) -> bool:
    """Say whether it is a network of :mod:`fastnn.networks`, whose layers hold the parameters."""
    return not isinstance(network, type) and isinstance(getattr(network, "_adopted", None), Adopted)


def refresh(network: Any) -> None:
    """Call :func:`adopt` for one of our networks; those of other classes are left alone."""
    if is_ours(network):
        adopt(network)


def _is_current(network: Any) -> bool:
    """Say whether layers and `params` are what they were: where all layers are ours."""
    found, names, objects, _ = network._adopted
    params, now = network.params, network.layers
    if not objects or len(params) != len(found) or names != [*now]:
        return False
    if not all(map(is_, objects, (*now.values(), network.last_layer))):
        return False
    for key, _, name, owner, array, _ in found:
        if params.get(key) is not array or getattr(owner, name) is not array:
            return False
    return True


def _new_key(
    p: Parameter,
    taken: set[str],
    places: Mapping[tuple[str, str], str],
    params: Mapping[str, Array],
    before: Mapping[str, Parameter],
) -> str:
    """Return the key of an array that is not in `params` yet."""
    key = places.get((p.layer, p.name))
    if key is not None and key not in taken:
        if key in params and params[key] is not before[key].array:
            raise ValueError(
                f"params[{key!r}]: expected the array that {p.place} is, got another one; write "
                f"into it, network.params[{key!r}][...] = values, or give the layer the new array "
                "too"
            )
        return key
    key = f"{p.layer}.{p.name}"
    if key in taken or key in params:
        raise ValueError(f"{p.place}: expected a key of its own, got {key!r}, which is taken")
    return key


def _expect_gone(network: Any, key: str, before: Mapping[str, Parameter]) -> None:
    """Raise ValueError if an array that no layer names is still of use."""
    array = network.params[key]
    for held in undeclared(network):
        if held.array is array:
            raise ValueError(held.message(f"which is params[{key!r}]"))
    if key not in before or before[key].array is not array:
        raise ValueError(
            f"params[{key!r}]: expected an array that a layer names as its parameter, got one of "
            f"shape {np.shape(array)} that none does: it would never be trained"
        )


def _expect_layers(network: Any) -> None:
    names: dict[int, str] = {}
    if not isinstance(network.layers, Mapping):
        raise TypeError(f"layers: expected a dict of names and layers, got {network.layers!r}")
    for name, layer in _all_layers(network):
        methods = [callable(getattr(layer, method, None)) for method in ("forward", "backward")]
        if isinstance(layer, type) or not all(methods):
            raise TypeError(
                f"{_where(name)}: expected an object with forward and backward, got {layer!r}"
            )
        other = names.setdefault(id(layer), name)
        if other != name:
            raise ValueError(
                f"layers[{name!r}]: expected another object than layers[{other!r}]: a layer keeps "
                "what backward needs of one forward pass"
            )


def _ask_for_gradients(network: Any) -> None:
    """Let all layers but the first return the gradient with respect to their input."""
    found = iter(network.layers.values())
    next(found, None)
    for layer in found:
        if getattr(layer, "input_gradient", True) is False:
            layer.input_gradient = True


def gradients(found: list[Parameter]) -> dict[str, Array]:
    """Return the gradients that a backward pass has left in the layers, by key: new arrays."""
    grads: dict[str, Array] = {}
    for p in found:
        g = getattr(p.owner, f"d{p.name}") if type(p.owner) in OURS else p.gradient()
        grads[p.key] = grads[p.key] + g if p.key in grads else g  # of two layers that share it
    return grads


class Held(NamedTuple):
    """An array that a layer of the user's own holds and does not name as a parameter.

    `inner` says that a layer within it does.
    """

    layer: str
    path: str
    owner: Any
    name: str
    array: Array
    inner: bool = False

    def looks_learnable(self) -> bool:
        """Say whether it has outlasted a pass that has left a gradient beside it."""
        if self.inner:
            return True
        return getattr(self.owner, self.name, None) is self.array and bool(self.gradient())

    def gradient(self) -> str:
        """Return the name under which a gradient stands beside it, "" if there is none."""
        for form in _GRADIENTS:
            value = getattr(self.owner, form.format(self.name), None)
            if isinstance(value, np.ndarray) and value.shape == self.array.shape:
                return form.format(self.name)
        return ""

    def message(self, why: str) -> str:
        """Return what is wrong, and what to do."""
        return (
            f"{_where(self.layer)}: expected a layer that names its parameters, got one with "
            f"{self.path}, {why}, and without an attribute params: give the layer "
            f"params = {{{self.name!r}: array}} and, from backward on, "
            f"grads = {{{self.name!r}: gradient}}; or params = {{}} if it is not to be trained"
        )


def undeclared(network: Any) -> list[Held]:
    """Return the arrays that own layers hold, also in layers within them, and do not name."""
    found: list[Held] = []
    for name, layer in _all_layers(network):
        if type(layer) not in OURS and getattr(layer, "params", None) is None:
            found += _held(name, "", layer, set())
    known = {id(p.array) for p in network._adopted.parameters if not p.declared}
    return [held for held in found if held.path != held.name or id(held.array) not in known]


def _held(layer: str, path: str, owner: Any, seen: set[int]) -> Iterator[Held]:
    seen.add(id(owner))
    declared = items(owner, "params") if path else None
    if declared is not None:
        for name, array in declared.items():
            yield Held(layer, f"{path}params[{name!r}]", owner, name, array, inner=True)
        return
    for name, value in list(getattr(owner, "__dict__", {}).items()):
        if isinstance(value, np.ndarray):
            if value.dtype.kind == "f":
                yield Held(layer, f"{path}{name}", owner, name, value)
            continue
        inner = {name: value}
        if isinstance(value, Mapping):
            inner = {f"{name}[{key!r}]": item for key, item in islice(value.items(), _LAYERS)}
        elif isinstance(value, (list, tuple)):
            inner = {f"{name}[{i}]": item for i, item in enumerate(value[:_LAYERS])}
        for where, item in inner.items():
            if hasattr(item, "forward") and hasattr(item, "backward") and id(item) not in seen:
                yield from _held(layer, f"{path}{where}.", item, seen)


def expect_declared(held: list[Held]) -> None:
    """Raise ValueError if backward has left a gradient for an array that is no parameter."""
    for each in held:
        if each.looks_learnable():
            why = "a parameter of a layer within it"
            if not each.inner:
                why = f"for which backward has left {each.gradient()}"
            raise ValueError(each.message(why))
