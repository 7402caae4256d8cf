"""Parameter updates between the checked functions and the kernels: settings, arrays, dicts."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn._utils.warnings import warn
from fastnn.kernels.updates import tables
from fastnn.ops._arrays import F32, F64, deliver, expect_apart, expect_shape, inputs, updated
from fastnn.ops._dispatch import compiled, run_kernel, run_twin

# Cost of an element against that of a cheap loop.
_WORK = {"sgd_": 1, "momentum_": 1, "nesterov_": 1, "adagrad_": 4, "rmsprop_": 4, "adam_": 4}

# The settings that are numbers, whatever the rule.
RANGES = {
    "lr": numbers.POSITIVE,
    "momentum": numbers.BELOW_ONE,
    "decay_rate": numbers.BELOW_ONE,
    "beta1": numbers.BELOW_ONE,
    "beta2": numbers.BELOW_ONE,
    "eps": numbers.NOT_NEGATIVE,
    "weight_decay": numbers.NOT_NEGATIVE,
}

BIAS_CORRECTIONS = ("folded", "explicit")


def settings(**values: Any) -> tuple[float, ...]:
    """Return settings as numbers, checked, in the order in which they are given.

    Raises
    ------
    TypeError, ValueError
        If one is no number or out of its range.
    """
    for name, value in values.items():
        low, high, _ = RANGES[name]
        if type(value) is not float or not low <= value < high:
            return tuple(numbers.number(name, v, RANGES[name]) for name, v in values.items())
    return tuple(values.values())


def adam_settings(
    step: Any, numbers_: tuple[float, ...], decoupled: bool, bias_correction: str
) -> tuple[Any, ...]:
    """Return the settings of :func:`adam_`, checked; the numbers have been."""
    explicit = numbers.one_of("bias_correction", bias_correction, BIAS_CORRECTIONS) == "explicit"
    return numbers.whole("step", step, 1), *numbers_, bool(decoupled), explicit


def update(
    rule: str, names: tuple[str, ...], arrays: tuple[Any, ...], settings: tuple[Any, ...]
) -> None:
    """Update one parameter.

    Parameters
    ----------
    rule : str
        Name of the kernel and its twin, such as ``"adam_"``.
    names, arrays : tuple
        Parameter, gradient and states, and what errors call them.
    settings : tuple
        The rule's other arguments, checked.

    Raises
    ------
    TypeError, ValueError
        If an array does not fit; nothing has been written then.
    """
    if not _at_once(rule, arrays, len(arrays), settings):
        _apply(rule, _check(names, *arrays), settings)


def update_dicts(
    rule: str,
    params: Mapping[str, Array],
    grads: Mapping[str, ArrayLike],
    states: Mapping[str, Mapping[str, Array]],
    settings: tuple[Any, ...],
) -> bool:
    """Update each array of `params` by one call, or leave it to :func:`update_each`.

    Parameters
    ----------
    rule : str
        As in :func:`update`, like `settings`.
    params, grads : mapping of str to ndarray
    states : mapping of str to mapping of str to ndarray
        For each state of the rule, by name and in its order, an array for each parameter.
    settings : tuple

    Returns
    -------
    bool
        Whether it was done. If not, nothing has been written: an array is missing, or not as
        kernels take it.
    """
    arrays: list[Any] = [*params.values()]
    for others in (grads, *states.values()):
        arrays += map(others.get, params)
    return _at_once(rule, tuple(arrays), 2 + len(states), settings)


def update_each(
    rule: str,
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


def _at_once(rule: str, arrays: tuple[Any, ...], kinds: int, settings: tuple[Any, ...]) -> bool:
    """Update all parameters by one call of the kernel, if the arrays are as it takes them.

    `arrays` and `kinds` are as in :func:`tables.tabulate`. Returns whether it was done.
    """
    if not arrays or not compiled():
        return False
    if (tabulated := tables.tabulate(arrays, kinds)) is None:
        if not tables.is_readable():
            _warn_once()
        return False
    table, like, total = tabulated
    run_kernel(rule, _WORK[rule] * total, (table, like, *settings))
    return True


def unreadable() -> str:
    """Return why updates run on NumPy even where kernels are compiled; "" if they do not."""
    if tables.is_readable():
        return ""
    return f"NumPy {np.__version__} keeps arrays in memory in another way than fastnn reads them"


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
    shape = np.shape(p)
    buffers = [updated(names[0], p, shape, dtype, "")]
    (gradient,) = inputs(**{names[1]: g})
    expect_shape(names[1], gradient, shape, "like {}", names[0])
    for name, a in zip(names[2:], state, strict=True):
        buffers.append(updated(name, a, shape, dtype, names[0]))
    expect_apart(dict(zip(names, (p, gradient, *state), strict=True)))
    if gradient.dtype != dtype:
        gradient = gradient.astype(dtype)
    return _Update((p, *state), tuple(buffers), gradient)


def _apply(rule: str, update: _Update, settings: tuple[Any, ...]) -> None:
    # Since the check an update before this one may have changed an array that shares memory.
    for array, buffer in zip(update.arrays, update.buffers, strict=True):
        if array is not buffer:
            buffer[...] = array
    p, *state = update.buffers
    arrays = (p, update.g, *state)
    if not _at_once(rule, arrays, len(arrays), settings):
        run_twin(rule, *arrays, *settings)
    for array, buffer in zip(update.arrays, update.buffers, strict=True):
        deliver(array, buffer)
