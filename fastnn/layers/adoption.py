"""The parameters of a network: what its layers name as such, by the keys of ``network.params``.

Attributes of a layer of the user's own that hold arrays of ``network.params`` count as named, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from fastnn._utils.types import Array
from fastnn.layers.parameters import (
    Parameter,
    all_layers,
    decayed_of,
    is_decayed,
    is_weight,
    items,
    parameters_of,
    place_of,
    where_of,
)
from fastnn.layers.record import record_of
from fastnn.layers.sizes import is_built
from fastnn.layers.undeclared import undeclared

_USUAL = ("W", "b", "gamma", "beta")


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


def _named(name: str, layer: Any, known: Mapping[int, str]) -> tuple[dict[str, Array], bool]:
    """Return what a layer names as its parameters, and whether it does so in `params`."""
    ours = record_of(layer) is not None
    found = None if ours else items(layer, "params")
    declared = found is not None
    if found is None:
        found = parameters_of(layer)
        for key in () if ours else (*getattr(layer, "__dict__", {}), *_USUAL):
            value: Any = getattr(layer, key, None)
            if id(value) in known:
                found[key] = value
    for key, array in found.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(
                f"{place_of(name, key, 'params' if declared else '')}: expected an array of a "
                f"floating dtype, got {kind}"
            )
    others = [name for name in decayed_of(layer) or () if name not in found]
    if others:
        raise ValueError(
            f"{where_of(name)}.decayed: expected names of parameters, {[*found]}, got {others}"
        )
    return found, declared


def weights_of(network: Any) -> dict[str, Array]:
    """Return the parameters that weight decay acts on, by key, as of the last :func:`adopt`.

    What no layer names goes by its key.
    """
    said: dict[str, bool] = {}
    for p in network._adopted.parameters:
        found = is_decayed(p.key, p.owner, p.name, p.array)
        said[p.key] = found or said.get(p.key, False)
    return {
        key: array
        for key, array in network.params.items()
        if (said[key] if key in said else is_weight(key, array))
    }


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
    expect_layers(network)
    if not all(map(is_built, network.layers.values())):
        network._build()
    known = {id(array): key for key, array in params.items()}
    found: list[Parameter] = []
    for name, layer in all_layers(network):
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
    objects = [layer for _, layer in all_layers(network)]
    ours = all(map(record_of, objects))
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
    owners: dict[str, Any] = dict(all_layers(network))
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


def refresh(network: Any, x: Any = None) -> None:
    """Call :func:`adopt` for one of our networks; those of other classes are left alone.

    One without sizes takes those of samples `x`, where there are any.
    """
    if is_ours(network):
        if x is not None:
            network._take_size(x)
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


def expect_layers(network: Any) -> None:
    """Raise TypeError or ValueError unless layers are objects by name, each there once."""
    names: dict[int, str] = {}
    if not isinstance(network.layers, Mapping):
        raise TypeError(f"layers: expected a dict of names and layers, got {network.layers!r}")
    for name in network.layers:
        # Files have these names, and those of archives end at a null.
        if not isinstance(name, str) or name in ("", "last_layer") or "\0" in name:
            raise ValueError(f"layers: expected names of layers, got {name!r}")
    for name, layer in all_layers(network):
        methods = [callable(getattr(layer, method, None)) for method in ("forward", "backward")]
        if isinstance(layer, type) or not all(methods):
            raise TypeError(
                f"{where_of(name)}: expected an object with forward and backward, got {layer!r}"
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
