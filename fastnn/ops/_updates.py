"""Parameter updates between the checked functions and the kernels: settings, arrays, dicts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn import _numbers as numbers
from fastnn._types import Array
from fastnn.ops._arrays import F32, F64, deliver, expect_apart, expect_shape, inputs, updated
from fastnn.ops._dispatch import run

BIAS_CORRECTIONS = ("folded", "explicit")

# Cost of an element against that of a cheap loop.
_WORK = {"sgd_": 1, "momentum_": 1, "nesterov_": 1, "adagrad_": 4, "rmsprop_": 4, "adam_": 4}


class _Update(NamedTuple):
    """An update that has been checked: the caller's arrays, and those for the kernel."""

    arrays: tuple[Array, ...]
    buffers: tuple[Array, ...]
    g: Array


def _as_they_are(p: Array, g: ArrayLike, *state: Array) -> _Update | None:
    """Return the update if all arrays are as kernels take them, which is the common case."""
    arrays = (p, g, *state)
    dtype = getattr(p, "dtype", None)
    if dtype is None or dtype not in (F32, F64):
        return None
    for a in arrays:
        if type(a) is not np.ndarray or a.dtype != dtype or a.shape != p.shape:
            return None
        if not a.flags.carray:
            return None
    if any(np.may_share_memory(a, b) for a, b in combinations(arrays, 2)):
        return None
    return _Update((p, *state), (p, *state), np.asarray(g))


def check(names: tuple[str, ...], p: Array, g: ArrayLike, *state: Array) -> _Update:
    """Check parameter, gradient and state, called `names`, and bring them into form."""
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


def apply(rule: str, update: _Update, settings: tuple[Any, ...]) -> None:
    p, *state = (a.reshape(-1) for a in update.buffers)
    run(rule, _WORK[rule] * p.size, p, update.g.reshape(-1), *state, *settings)
    for array, buffer in zip(update.arrays, update.buffers, strict=True):
        deliver(array, buffer)


def update_dicts(
    rule: str,
    params: Mapping[str, Array],
    grads: Mapping[str, Array],
    states: Mapping[str, Mapping[str, Array]],
    settings: tuple[Any, ...],
) -> None:
    """Update each array of `params`, after checking all of them.

    Parameters
    ----------
    rule : str
        Name of the function for one array, such as ``"adam_"``.
    params, grads : mapping of str to ndarray
    states : mapping of str to mapping of str to ndarray
        For each state of the rule, by name and in its order, an array for each parameter.
    settings : tuple
        What the rule's function of settings returned, such as :func:`adam_settings`.

    Raises
    ------
    KeyError
        If `grads` lacks a key of `params`; the message lists all that are missing.
    TypeError, ValueError
        If an array does not fit; nothing has been written then.
    """
    missing = [key for key in params if key not in grads]
    if missing:
        raise KeyError(f"grads: missing {', '.join(map(repr, missing))}")
    updates = []
    for key, p in params.items():
        arrays = (p, grads[key], *(state[key] for state in states.values()))
        names = "params", "grads", *states
        update = _as_they_are(*arrays) or check(
            tuple(f"{name}[{key!r}]" for name in names), *arrays
        )
        updates.append(update)
    for update in updates:
        apply(rule, update, settings)


def sgd_settings(lr: SupportsFloat, weight_decay: SupportsFloat) -> tuple[float, ...]:
    """Return the checked settings of :func:`sgd_`."""
    return numbers.positive("lr", lr), numbers.not_negative("weight_decay", weight_decay)


def momentum_settings(
    lr: SupportsFloat, momentum: SupportsFloat, weight_decay: SupportsFloat
) -> tuple[float, ...]:
    """Return the checked settings of :func:`momentum_` and :func:`nesterov_`."""
    return (
        numbers.positive("lr", lr),
        numbers.below_one("momentum", momentum),
        numbers.not_negative("weight_decay", weight_decay),
    )


def adagrad_settings(
    lr: SupportsFloat, eps: SupportsFloat, weight_decay: SupportsFloat
) -> tuple[float, ...]:
    """Return the checked settings of :func:`adagrad_`."""
    return (
        numbers.positive("lr", lr),
        numbers.not_negative("eps", eps),
        numbers.not_negative("weight_decay", weight_decay),
    )


def rmsprop_settings(
    lr: SupportsFloat, decay_rate: SupportsFloat, eps: SupportsFloat, weight_decay: SupportsFloat
) -> tuple[float, ...]:
    """Return the checked settings of :func:`rmsprop_`."""
    return (
        numbers.positive("lr", lr),
        numbers.below_one("decay_rate", decay_rate),
        numbers.not_negative("eps", eps),
        numbers.not_negative("weight_decay", weight_decay),
    )


def adam_settings(
    step: SupportsIndex,
    lr: SupportsFloat,
    beta1: SupportsFloat,
    beta2: SupportsFloat,
    eps: SupportsFloat,
    weight_decay: SupportsFloat,
    decoupled: bool,
    bias_correction: str,
) -> tuple[Any, ...]:
    """Return the checked settings of :func:`adam_`."""
    return (
        numbers.whole("step", step, 1),
        numbers.positive("lr", lr),
        numbers.below_one("beta1", beta1),
        numbers.below_one("beta2", beta2),
        numbers.not_negative("eps", eps),
        numbers.not_negative("weight_decay", weight_decay),
        bool(decoupled),
        numbers.one_of("bias_correction", bias_correction, BIAS_CORRECTIONS) == "explicit",
    )
