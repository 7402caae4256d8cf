"""The passes of layers, called as they are declared."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

from fastnn._utils.types import Array

Form = Literal["plain", "positional", "keyword"]


def forward(layer: Any, x: Array, train_flg: bool) -> Any:
    """Return ``layer.forward(x)``, with `train_flg` if it takes it.

    It does if an argument has that name, or the second one speaks of training, or has no default
    or None, 0 or 1 as its default, or there is a ``*args`` or ``**kwargs`` to take it.
    """
    method = layer.forward
    form = _form_of(_form, method)
    if form == "plain":
        out = method(x)
    else:
        out = method(x, train_flg) if form == "positional" else method(x, train_flg=train_flg)
    if out is None:
        raise ValueError(f"{type(layer).__name__}.forward: expected an array, got None")
    return out


def first_gradient(last_layer: Any) -> Any:
    """Return ``last_layer.backward()``, with `dout` 1 if it asks for one."""
    method = last_layer.backward
    return method() if _form_of(_form_of_last, method) == "plain" else method(1)


def _form_of(find: Any, method: Any) -> Form:
    """Return how to call a method, found once for each function."""
    function = getattr(method, "__func__", None)
    key = (method, False) if function is None else (function, True)
    try:
        found: Form = find(*key)
    except TypeError:  # it has no hash
        found = find.__wrapped__(*key)
    return found


def _arguments(function: Callable[..., Any], bound: bool) -> list[inspect.Parameter]:
    """Return the arguments, without the layer; none of C without a signature."""
    try:
        return list(inspect.signature(function).parameters.values())[1 if bound else 0 :]
    except (TypeError, ValueError):
        return []


def _places(found: list[inspect.Parameter]) -> list[inspect.Parameter]:
    return [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


@lru_cache(maxsize=256)
def _form(function: Callable[..., Any], bound: bool) -> Form:
    found = _arguments(function, bound)
    if any(p.name == "train_flg" and p.kind is not p.POSITIONAL_ONLY for p in found):
        return "keyword"
    if any(p.kind is p.VAR_POSITIONAL for p in found):
        return "positional"
    places = _places(found)
    if len(places) > 1 and (places[1].default is places[1].empty or _is_flag(places[1])):
        return "positional"
    return "keyword" if any(p.kind is p.VAR_KEYWORD for p in found) else "plain"


@lru_cache(maxsize=256)
def _form_of_last(function: Callable[..., Any], bound: bool) -> Form:
    places = _places(_arguments(function, bound))
    return "positional" if places and places[0].default is places[0].empty else "plain"


def _is_flag(parameter: inspect.Parameter) -> bool:
    default = parameter.default
    by_default = default is None or (isinstance(default, int) and default in (0, 1))
    return (by_default and parameter.name != "out") or "train" in parameter.name
