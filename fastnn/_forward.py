"""The forward pass of a layer, called as it is declared."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

from fastnn._types import Array

Form = Literal["x", "positional", "keyword"]


def forward(layer: Any, x: Array, train_flg: bool) -> Any:
    """Return ``layer.forward(x)``, with `train_flg` if it takes it.

    It does if an argument has that name, or the second one has no default, or a truth value as
    its default, or there is a ``*args`` or ``**kwargs`` to take it.
    """
    method = layer.forward
    function = getattr(method, "__func__", None)
    key = (method, False) if function is None else (function, True)
    try:
        form = _form(*key)
    except TypeError:  # it has no hash
        form = _form.__wrapped__(*key)
    if form == "x":
        return method(x)
    return method(x, train_flg) if form == "positional" else method(x, train_flg=train_flg)


@lru_cache(maxsize=256)
def _form(function: Callable[..., Any], bound: bool) -> Form:
    """Return how to call a function; the first argument of a bound one is the layer."""
    try:
        found = list(inspect.signature(function).parameters.values())[bound:]
    except (TypeError, ValueError):  # of C, without a signature
        return "x"
    kinds = [p.kind for p in found]
    if any(p.name == "train_flg" and p.kind is not p.POSITIONAL_ONLY for p in found):
        return "keyword"
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return "positional"
    places = [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(places) > 1 and (places[1].default is places[1].empty or _is_flag(places[1])):
        return "positional"
    return "keyword" if inspect.Parameter.VAR_KEYWORD in kinds else "x"


def _is_flag(parameter: inspect.Parameter) -> bool:
    return isinstance(parameter.default, bool)
