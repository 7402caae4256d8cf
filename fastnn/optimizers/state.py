"""What an optimizer keeps: settings and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn import optimizers
from fastnn._utils import schema
from fastnn._utils import validation as numbers
from fastnn._utils.types import Array

State = dict[str, Array]


def _plain(value: Any) -> bool:
    return isinstance(value, np.ndarray) and not value.dtype.hasobject


def optimizer_state(optimizer: optimizers.Optimizer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an optimizer's numbers and strings by name, and its dicts of arrays by name.

    Raises
    ------
    TypeError
        If it has an attribute of another kind.
    """
    settings: dict[str, Any] = {}
    arrays: dict[str, dict[str, Array] | None] = {}
    for name, value in vars(optimizer).items():
        if isinstance(value, (bool, int, float, str)):
            settings[name] = value
        elif isinstance(value, np.number):
            settings[name] = value.item()
        elif value is None or (isinstance(value, dict) and all(map(_plain, value.values()))):
            arrays[name] = value
        else:
            raise TypeError(
                f"optimizer: expected numbers, strings and dicts of arrays as attributes, "
                f"got {name} of {type(value).__name__}"
            )
    return settings, arrays


def completed(
    optimizer: Any, states: Mapping[str, State | None], params: Mapping[str, Array]
) -> dict[str, State | None]:
    """Return states with zeros for parameters that an optimizer of ours has not updated yet."""
    found = dict(states)
    if isinstance(optimizer, optimizers.Optimizer):
        for name in optimizer.rule.states:
            state = found.get(name)
            if state:
                found[name] = {key: np.zeros_like(p) for key, p in params.items()} | state
    return found


def expect_state(
    optimizer: Any,
    settings: Mapping[str, Any],
    states: Mapping[str, State | None],
    params: Mapping[str, Array],
) -> None:
    """Raise unless attributes may be set that :func:`optimizer_state` has returned for another one.

    Parameters
    ----------
    optimizer : Optimizer
    settings, states : mapping of str
        Numbers and strings, and dicts of arrays, by name.
    params : mapping of str to ndarray
        What it has updated.

    Raises
    ------
    TypeError, ValueError
        If one hides a method or other attribute of the class, is missing, out of its range, of
        another type, or does not belong to the parameters.
    """
    ours = vars(optimizer)
    for name in (*settings, *states):
        if name not in ours and (not name.isidentifier() or hasattr(type(optimizer), name)):
            raise ValueError(
                f"optimizer: expected attributes of {type(optimizer).__name__}, got {name!r}"
            )
    if settings.keys() & states.keys():
        raise ValueError("optimizer: expected an attribute either in settings or in states")
    rule = optimizer.rule if isinstance(optimizer, optimizers.Optimizer) else None
    checks: dict[str, Any] = {}
    if rule is not None:
        checks = {name: rule.check for name in rule.attributes if name in ours}
        if rule.counters:
            checks["iter"] = lambda name, value: numbers.integer(name, value, 0)
        for part, given, expected in (
            ("settings", settings, checks),
            ("states", states, rule.states),
        ):
            lacking = [name for name in expected if name not in given]
            if lacking:
                raise ValueError(f"optimizer.{part}: expected {', '.join(lacking)}, got none")
        for name in rule.states:
            _expect_arrays(name, states[name] or {}, params)
            for key, array in (states[name] or {}).items() if name in rule.sizes else ():
                schema.not_negative(f"optimizer/{name}/{key}", array)
    for name, value in settings.items():
        if name in checks:
            try:
                checks[name](name, value)
            except (TypeError, ValueError) as error:
                raise type(error)(f"optimizer.{error}") from None
        else:
            schema.alike(f"optimizer.{name}", value, ours.get(name))


def _expect_arrays(name: str, state: State, params: Mapping[str, Array]) -> None:
    """Raise ValueError unless a state has an array like each parameter, or none at all."""
    for key, p in params.items() if state else ():
        found = state.get(key)
        if found is None or (found.shape, found.dtype) != (p.shape, p.dtype):
            what = "none" if found is None else f"{found.dtype} of shape {found.shape}"
            raise ValueError(
                f"optimizer/{name}/{key}: expected {p.dtype} of shape {p.shape}, like the "
                f"parameter, got {what}"
            )
    for key, array in state.items():
        if array.dtype.kind != "f":
            raise TypeError(f"optimizer/{name}/{key}: expected a floating dtype, got {array.dtype}")
