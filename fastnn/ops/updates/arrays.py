"""Parameter updates between the checked functions and the kernels: arrays, and dicts of them."""

from __future__ import annotations

import functools
import platform
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn._utils.warnings import warn
from fastnn.kernels.calls.update_routine import UpdateRoutine
from fastnn.kernels.machine import layout
from fastnn.ops._arrays import (
    F32,
    F64,
    array_of,
    deliver,
    expect_apart,
    expect_shape,
    inputs,
    updated,
)
from fastnn.ops._dispatch import compiled, run_reference
from fastnn.ops.updates.rule import Rule


def update(rule: Rule, *args: Any) -> None:
    """Update one parameter.

    Parameters
    ----------
    rule : Rule
    *args
        Parameter, gradient and states, then the rule's settings.

    Raises
    ------
    TypeError, ValueError
        If an array or a setting does not fit; nothing has been written then.
    """
    if rule.function.checked(*args) is not None and not at_once(rule.function, *args):
        kinds = 2 + len(rule.states)
        arrays, settings = args[:kinds], rule.checked(args[kinds:])
        if not at_once(rule.of_arrays, *arrays, *settings):
            _apply(rule, _check(("p", "g", *rule.states), *arrays), settings)


def update_dicts(
    rule: Rule,
    params: Mapping[str, Array],
    grads: Mapping[str, ArrayLike],
    states: Mapping[str, Mapping[str, Array]],
    settings: tuple[Any, ...],
) -> bool:
    """Update each array of `params` by one call, or leave it to :func:`update_each`.

    Parameters
    ----------
    rule : Rule
    params, grads : mapping of str to ndarray
    states : mapping of str to mapping of str to ndarray
        For each state of the rule, by name and in its order, an array for each parameter.
    settings : tuple
        The rule's, as :meth:`fastnn.ops.updates.rule.Rule.checked` returns them.

    Returns
    -------
    bool
        Whether it was done. If not, nothing has been written: an array is missing, or not as
        kernels take it.
    """
    given = params, grads, *states.values()
    if at_once(rule.of_dicts, *given, *settings):
        return True
    # Compiled code reads dicts whose keys are in one order, and nothing else that is like one.
    plain = (dict(zip(params, map(each.get, params), strict=True)) for each in given)
    return at_once(rule.of_dicts, *plain, *settings)


def update_each(
    rule: Rule,
    params: Mapping[str, Array],
    grads: Mapping[str, ArrayLike],
    states: Mapping[str, Mapping[str, Array]],
    settings: tuple[Any, ...],
) -> None:
    """Update one array of `params` after the other, after checking all of them.

    Parameters are those of :func:`update_dicts`. In this order parameters may share memory.

    Raises
    ------
    KeyError
        If `grads` lacks a key of `params`; the message lists all that are missing.
    TypeError, ValueError
        If an array does not fit; nothing has been written then.
    """
    missing = [repr(key) for key in params if key not in grads]
    if missing:
        raise KeyError(f"grads: missing {', '.join(missing)}")
    updates = []
    for key, p in params.items():
        names = tuple(f"{name}[{key!r}]" for name in ("params", "grads", *states))
        state = [arrays[key] for arrays in states.values()]
        _expect_earlier_shape(names[0], p, *state)
        updates.append(_check(names, p, grads[key], *state))
    for each in updates:
        _apply(rule, each, settings)


def at_once(routine: UpdateRoutine, *args: Any) -> bool:
    """Update parameters by one call of compiled code, if it takes the arguments as they are.

    Returns whether it was done.
    """
    if not compiled():
        return False
    if unreadable():
        _warn_once()
        return False
    return routine.update(*args)


def unreadable() -> str:
    """Return why updates run on NumPy even where kernels are compiled; "" if they do not."""
    if layout.is_known():
        return ""
    python, numpy = platform.python_version(), np.__version__
    return f"Python {python} or NumPy {numpy} keeps objects in another way than fastnn reads them"


@functools.cache
def _warn_once() -> None:
    warn(
        f"optimizers run on NumPy, which is slower: {unreadable()}; the training programs of fit "
        "and Trainer stay compiled",
        RuntimeWarning,
    )


class _Update(NamedTuple):
    """An update that has been checked: the caller's arrays, and those for the kernel."""

    arrays: tuple[Array, ...]
    buffers: tuple[Array, ...]
    g: Array


def _expect_earlier_shape(name: str, p: Array, *state: Array) -> None:
    for a in state:
        if a.shape != np.shape(p):
            raise ValueError(
                f"{name}: expected shape {a.shape} as in earlier updates, got {np.shape(p)}; "
                "use a new optimizer for another network"
            )


def _check(names: tuple[str, ...], p: Array, g: ArrayLike, *state: Array) -> _Update:
    """Check parameter, gradient and states, called `names`, and bring them into form."""
    dtype = F32 if isinstance(p, np.ndarray) and p.dtype.char == "f" else F64
    shape = array_of(names[0], p).shape
    buffers = [updated(names[0], p, shape, dtype, "")]
    (gradient,) = inputs(**{names[1]: g})
    expect_shape(names[1], gradient, shape, "like {}", names[0])
    for name, a in zip(names[2:], state, strict=True):
        buffers.append(updated(name, a, shape, dtype, names[0]))
    expect_apart(dict(zip(names, (p, gradient, *state), strict=True)))
    if gradient.dtype != dtype:
        with np.errstate(all="ignore"):  # what is too large becomes infinity
            gradient = gradient.astype(dtype)
    return _Update((p, *state), tuple(buffers), gradient)


def _apply(rule: Rule, update: _Update, settings: tuple[Any, ...]) -> None:
    # Since the check an update before this one may have changed an array that shares memory.
    for array, buffer in zip(update.arrays, update.buffers, strict=True):
        if array is not buffer:
            deliver(buffer, array)
    p, *state = update.buffers
    arrays = (p, update.g, *state)
    if not at_once(rule.of_arrays, *arrays, *settings):
        run_reference(rule.name, *arrays, *settings)
    for array, buffer in zip(update.arrays, update.buffers, strict=True):
        deliver(array, buffer)
