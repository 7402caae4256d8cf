"""Momentum, and Nesterov's form of it."""

from __future__ import annotations

from dataclasses import replace
from typing import SupportsFloat

from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn._utils.validation import BELOW_ONE, NOT_NEGATIVE, POSITIVE
from fastnn.ops.updates.arrays import update
from fastnn.ops.updates.optimizer import Optimizer, State
from fastnn.ops.updates.rule import Rule

MOMENTUM = Rule(
    "momentum_",
    states=("v",),
    settings={"lr": POSITIVE, "momentum": BELOW_ONE, "weight_decay": NOT_NEGATIVE},
)
NESTEROV = replace(MOMENTUM, name="nesterov_")


def momentum_(
    p: Array,
    g: ArrayLike,
    v: Array,
    lr: SupportsFloat = 0.01,
    momentum: SupportsFloat = 0.9,
    *,
    weight_decay: SupportsFloat = 0.0,
) -> None:
    """Momentum (Polyak, 1964), in place: v = momentum v - lr g; p += v.

    Parameters
    ----------
    p : ndarray of float32 or float64
        Parameter, any shape; updated.
    g : array_like, shaped like `p`
        Gradient of the loss.
    v : ndarray, shaped like `p`
        Velocity, zero at the start; updated.
    lr : float
        Learning rate, above 0.
    momentum : float
        Share of the velocity that is kept, in [0, 1).
    weight_decay : float
        L2 penalty, at least 0: ``weight_decay * p`` is added to the gradient.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, an array to be written is read-only, of another dtype or shares
        memory with another, or a number is out of its range; nothing has been written then.
    """
    update(MOMENTUM, p, g, v, lr, momentum, weight_decay)


def nesterov_(
    p: Array,
    g: ArrayLike,
    v: Array,
    lr: SupportsFloat = 0.01,
    momentum: SupportsFloat = 0.9,
    *,
    weight_decay: SupportsFloat = 0.0,
) -> None:
    """Nesterov's momentum, in place: v = momentum v - lr g; p += momentum v - lr g.

    `p` is the look-ahead position (CS231n, "Neural networks 3"; Sutskever et al., 2013).

    Parameters
    ----------
    p : ndarray of float32 or float64
        Parameter, any shape; updated.
    g : array_like, shaped like `p`
        Gradient of the loss.
    v : ndarray, shaped like `p`
        Velocity, zero at the start; updated.
    lr : float
        Learning rate, above 0.
    momentum : float
        Share of the velocity that is kept, in [0, 1).
    weight_decay : float
        L2 penalty, at least 0: ``weight_decay * p`` is added to the gradient.

    Raises
    ------
    TypeError, ValueError
        As :func:`momentum_`.
    """
    update(NESTEROV, p, g, v, lr, momentum, weight_decay)


class Momentum(Optimizer):
    """Momentum (Polyak, 1964): v = momentum v - lr g; p += v.

    Parameters
    ----------
    lr : float
        Learning rate, above 0.
    momentum : float
        Share of the velocity that is kept, in [0, 1).
    weight_decay : float
        L2 penalty, at least 0.

    Attributes
    ----------
    v : dict of str to ndarray or None
        Velocities, from the first update on.
    """

    momentum: float
    v: State | None

    rule = MOMENTUM

    def __init__(
        self,
        lr: SupportsFloat = 0.01,
        momentum: SupportsFloat = 0.9,
        *,
        weight_decay: SupportsFloat = 0.0,
    ) -> None:
        super().__init__(lr=lr, momentum=momentum, weight_decay=weight_decay)


class Nesterov(Momentum):
    """Nesterov's momentum (CS231n's form): v = momentum v - lr g; p += momentum v - lr g.

    Parameters and attributes are those of :class:`Momentum`.
    """

    rule = NESTEROV
