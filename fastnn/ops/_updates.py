"""Parameter updates between the checked functions and the kernels: settings, arrays, dicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastnn import _numbers as numbers
from fastnn._types import Array
from fastnn.kernels.tables import tabulate
from fastnn.ops._arrays import F32, F64, deliver, expect_apart, expect_shape, inputs, updated
from fastnn.ops._dispatch import compiled, run_kernel, run_twin

# Cost of an element against that of a cheap loop.
_WORK = {"sgd_": 1, "momentum_": 1, "nesterov_": 1, "adagrad_": 4, "rmsprop_": 4, "adam_": 4}

# The range of each setting that is a number, whatever the rule.
_RANGES: dict[str, Callable[[str, Any], float]] = {
    "lr": numbers.positive,
    "momentum": numbers.below_one,
    "decay_rate": numbers.below_one,
    "beta1": numbers.below_one,
    "beta2": numbers.below_one,
    "eps": numbers.not_negative,
    "weight_decay": numbers.not_negative,
}

BIAS_CORRECTIONS = ("folded", "explicit")


def checked(name: str, value: Any) -> float:
    """Return a setting as a number; raise TypeError or ValueError if it is out of its range."""
    return _RANGES[name](name, value)


def settings(**values: Any) -> tuple[Any, ...]:
    """Return checked settings, in the order in which they are given."""
    return tuple([_RANGES[name](name, value) for name, value in values.items()])


def adam_settings(
    step: Any, decoupled: bool, bias_correction: str, **values: Any
) -> tuple[Any, ...]:
    """Return the checked settings of :func:`adam_`, in its order; `values` are the numbers."""
    explicit = numbers.one_of("bias_correction", bias_correction, BIAS_CORRECTIONS) == "explicit"
    return numbers.whole("step", step, 1), *settings(**values), bool(decoupled), explicit


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
) -> None:
    """Update each array of `params`, after checking all of them.

    Parameters
    ----------
    rule : str
        As in :func:`update`, like `settings`.
    params, grads : mapping of str to ndarray
    states : mapping of str to mapping of str to ndarray
        For each state of the rule, by name and in its order, an array for each parameter.
    settings : tuple

    Raises
    ------
    KeyError
        If `grads` lacks a key of `params`; the message lists all that are missing.
    TypeError, ValueError
        If an array does not fit; nothing has been written then.
    """
    if not params.keys() <= grads.keys():
        missing = [repr(key) for key in params if key not in grads]
        raise KeyError(f"grads: missing {', '.join(missing)}")
    arrays: list[Any] = [*params.values()]
    for others in (grads, *states.values()):
        arrays += map(others.__getitem__, params)
    if _at_once(rule, tuple(arrays), 2 + len(states), settings):
        return
    # One after the other, which is also what parameters that share memory need.
    updates = []
    for i, key in enumerate(params):
        names = tuple(f"{name}[{key!r}]" for name in ("params", "grads", *states))
        _expect_earlier_shape(names[0], *arrays[i :: len(params)])
        updates.append(_check(names, *arrays[i :: len(params)]))
    for each in updates:
        _apply(rule, each, settings)


def _at_once(rule: str, arrays: tuple[Any, ...], kinds: int, settings: tuple[Any, ...]) -> bool:
    """Update all parameters by one call of the kernel, if the arrays are as it takes them.

    `arrays` and `kinds` are as in :func:`tabulate`. Returns whether it was done.
    """
    if not arrays:
        return True
    if not compiled() or (tabulated := tabulate(arrays, kinds)) is None:
        return False
    table, like, total = tabulated
    run_kernel(rule, _WORK[rule] * total, table, like, *settings)
    return True


class _Update(NamedTuple):
    """An update that has been checked: the caller's arrays, and those for the kernel."""

    arrays: tuple[Array, ...]
    buffers: tuple[Array, ...]
    g: Array


def _expect_earlier_shape(name: str, p: Array, g: ArrayLike, *state: Array) -> None:
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
    p, *state = update.buffers
    arrays = (p, update.g, *state)
    if not _at_once(rule, arrays, len(arrays), settings):
        run_twin(rule, *arrays, *settings)
    for array, buffer in zip(update.arrays, update.buffers, strict=True):
        deliver(array, buffer)
