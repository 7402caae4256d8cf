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
    Params,
    all_layers,
    decayed_of,
    is_decayed,
    is_weight,
    items,
    parameters_of,
    place_of,
    put,
    where_of,
)
from fastnn.layers.record import record_of
from fastnn.layers.references import Path, references, share
from fastnn.layers.sizes import is_built
from fastnn.layers.undeclared import undeclared
from fastnn.ops._arrays import expect_shape, own, real

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
    params : Params or None
        The dict that is the network's own; what is assigned to ``network.params`` goes into it.
    """

    parameters: list[Parameter]
    names: list[str]
    objects: list[Any]
    left_out: list[Parameter]
    params: Params | None


NOTHING = Adopted([], [], [], [], None)


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
    """Bring ``network.params`` and the layers in line with each other; return all parameters.

    What has changed since the last time holds. An array that a layer has been given is put into
    `params`. What has been put into `params` is written into the array of the layer, so that the
    network keeps its arrays, and the caller's are not trained.

    A key stays with its array, wherever that is by now. An array that takes the place of another
    has its key, others ``"<layer>.<name>"``. Keys of layers that are gone go, too, and those that
    the user has taken out stay out. With a `gradient` of its own a network may have other keys, and
    with a `predict` of its own one that is not to be `trained`.

    Raises
    ------
    ValueError, TypeError
        If layers and `params` contradict each other, or what is in `params` does not fit the
        arrays of the layers; nothing has been changed then.
    """
    if _is_current(network):
        return network._adopted.parameters  # type: ignore[no-any-return]
    params: Mapping[str, Any] = network.params
    if not isinstance(params, Mapping):
        raise TypeError(f"params: expected a dict of arrays, got {params!r}")
    last: Adopted = network._adopted
    places = {(p.layer, p.name): p for p in (*last.parameters, *last.left_out)}
    before = {p.key: p for p in places.values()}
    expect_layers(network)
    if not all(map(is_built, network.layers.values())):
        network._build()
    found = _keyed(network, params, places)
    out = {p.key for p in found if p.key not in params and _was(before, p)}
    left_out = [p for p in found if p.key in out]
    found = [p for p in found if p.key not in out]
    values = {
        p.key: (p.array, _values_for(p, params[p.key]))
        for p in found
        if p.key in params and params[p.key] is not p.array and _stays(p, places)
    }
    now = {**params, **{p.key: p.array for p in found}}
    named = {p.key for p in found}
    for key in [key for key in params if key not in named]:
        if network._has_own("gradient") or (not trained and network._has_own("predict")):
            continue
        if _is_gone(network, key, before, trained):
            del now[key]
    for array, given in values.values():
        array[...] = given
    _take(network, now)
    _ask_for_gradients(network)
    objects = [layer for _, layer in all_layers(network)]
    ours = all(map(record_of, objects))
    names = [*network.layers]
    network._adopted = Adopted(found, names, objects if ours else [], left_out, network.params)
    return found


def _keyed(
    network: Any, params: Mapping[str, Any], places: Mapping[tuple[str, str], Parameter]
) -> list[Parameter]:
    """Return the parameters that layers name, with their keys."""
    keys = {id(array): key for key, array in params.items()}
    known = {id(p.array): p.key for p in places.values()} | keys
    found: list[Parameter] = []
    for name, layer in all_layers(network):
        named, declared = _named(name, layer, known)
        for attribute, array in named.items():
            place = places.get((name, attribute))
            key = "" if place is None else place.key
            found.append(Parameter(key, name, attribute, layer, array, declared))
    moved = {id(p.array) for p in found if not _stays(p, places)}
    for i, p in enumerate(found):
        # Values that are put into params belong to the layer whose array was there, unless a
        # layer has been given that array, too.
        put_in = p.key in params and id(params[p.key]) not in moved and _stays(p, places)
        if not (put_in or params.get(p.key) is p.array):
            found[i] = p._replace(key=keys.get(id(p.array), ""))
    taken = {p.key for p in found}
    for i, p in enumerate(found):
        if not p.key:
            key = keys.get(id(p.array)) or _new_key(p, taken, places, params)
            keys[id(p.array)] = key
            taken.add(key)
            found[i] = p._replace(key=key)
    return found


def _stays(p: Parameter, places: Mapping[tuple[str, str], Parameter]) -> bool:
    """Say whether a layer has the array that it had the last time."""
    place = places.get((p.layer, p.name))
    return place is not None and place.array is p.array


def _was(before: Mapping[str, Parameter], p: Parameter) -> bool:
    return p.key in before and before[p.key].array is p.array


def _values_for(p: Parameter, given: Any) -> Array:
    """Return a copy of what has been put into `params`, as the layer's array takes it."""
    name = f"params[{p.key!r}]"
    values = real(name, given)
    expect_shape(name, values, p.array.shape, "like {}", p.place)
    if not p.array.flags.writeable:
        raise ValueError(
            f"{p.place}: expected an array that can be written, as {name} has been set, "
            "got a read-only one"
        )
    return np.array(values, p.array.dtype)


def _take(network: Any, now: dict[str, Array]) -> None:
    """Bring the dict that is the network's own to these arrays, and have it be `params`."""
    ours: Params | None = network._adopted.params
    if ours is None:
        ours = network.params if isinstance(network.params, Params) else Params()
    if len(ours) != len(now) or any(ours.get(key) is not array for key, array in now.items()):
        for key in ours.keys() - now.keys():
            del ours[key]
        ours.update(now)
    network.params = ours


def state_of(network: Any) -> dict[str, Any]:
    """Return where the parameters of a network are, for :func:`relink`."""
    last: Adopted = network._adopted
    keys = {id(p.array): p.key for p in (*last.parameters, *last.left_out)}
    shared = [
        (keys[id(found.array)], found.layer, found.path)
        for found in references(network)
        if id(found.array) in keys
    ]
    return {"_places": places_of(network), "_shared": shared}


def places_of(network: Any) -> list[tuple[str, str, str, bool]]:
    """Return key, layer, name and whether it is declared, of each parameter, for :func:`relink`."""
    last: Adopted = network._adopted
    return [(p.key, p.layer, p.name, p.declared) for p in (*last.parameters, *last.left_out)]


def relink(
    network: Any,
    places: list[tuple[str, str, str, bool]],
    shared: list[tuple[str, str, Path]] | None = None,
) -> None:
    """Bring a copy to where its original was, with the layers and arrays that the copy has.

    Where layers and ``network.params`` have come apart, as in joblib's copies, layers get the
    arrays of `params`. What was left out of `params` still is. Arrays that can only be read, as
    those of mapped files, are copied.

    Parameters
    ----------
    network : Network
    places : list
        What :func:`places_of` has returned.
    shared : list of (key, layer, path), optional
        Where else layers of the user's own hold parameters.
    """
    if not isinstance(network.params, Params):
        network.params = Params(network.params)
    params = network.params
    owners: dict[str, Any] = dict(all_layers(network))
    arrays: dict[str, Array] = {}
    found: list[Parameter] = []
    left_out: list[Parameter] = []
    for key, layer, name, declared in places:
        if layer not in owners:
            continue
        owner = owners[layer]
        held: Any = (items(owner, "params") or {}).get(name) if declared else None
        if not declared:
            held = getattr(owner, name, None)
        if held is None:
            continue
        array = arrays.setdefault(key, own(params.get(key, held)))
        if key in params:
            params[key] = array
        if held is not array and np.shape(held) == array.shape:
            put(owner, name, array, declared)
        p = Parameter(key, layer, name, owner, array, declared)
        (found if key in params else left_out).append(p)
    if shared is not None:
        share(network, shared, arrays)
    network._adopted = Adopted(found, [], [], left_out, params)


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
    found, names, objects, _, ours = network._adopted
    params, now = network.params, network.layers
    if not objects or params is not ours or len(params) != len(found) or names != [*now]:
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
    places: Mapping[tuple[str, str], Parameter],
    params: Mapping[str, Any],
) -> str:
    """Return the key of an array that is not in `params` yet."""
    before = places.get((p.layer, p.name))
    if before is not None and before.key not in taken:
        key = before.key
        if key in params and params[key] is not before.array:
            raise ValueError(
                f"params[{key!r}]: expected the array that {p.place} is, which has been replaced, "
                "too, got another one"
            )
        return key
    key = f"{p.layer}.{p.name}"
    if key in taken or key in params:
        raise ValueError(f"{p.place}: expected a key of its own, got {key!r}, which is taken")
    return key


def _is_gone(network: Any, key: str, before: Mapping[str, Parameter], trained: bool) -> bool:
    """Say whether an array that no layer names is of no use any more.

    Raises
    ------
    ValueError
        If it has never been of any, or a layer holds it that is to be `trained` and does not name
        it.
    """
    array = network.params[key]
    for held in undeclared(network):
        if held.array is array:
            if trained:
                raise ValueError(held.message(f"which is params[{key!r}]"))
            return False
    if key not in before or before[key].array is not array:
        raise ValueError(
            f"params[{key!r}]: expected an array that a layer names as its parameter, got one of "
            f"shape {np.shape(array)} that none does: it would never be trained"
        )
    return True


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
