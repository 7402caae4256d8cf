"""Momentum, and Nesterov's form of it."""

from __future__ import annotations

from typing import Any, SupportsFloat

from fastnn.ops import _updates as rules
from fastnn.optimizers.optimizer import Optimizer, State


class Momentum(Optimizer):
    """Momentum (Polyak, 1964): v = momentum v - lr g; p += v.

    Parameters
    ----------
    lr : float
        Learning rate, above 0.
    momentum : float
        Share of the velocity that is kept, in [0, 1).
    weight_decay : float
        L2 penalty, from 0 up.

    Attributes
    ----------
    v : dict of str to ndarray or None
        Velocities, from the first update on.
    """

    momentum: float
    v: State | None

    _rule = "momentum_"
    _state_names = ("v",)

    def __init__(
        self,
        lr: SupportsFloat = 0.01,
        momentum: SupportsFloat = 0.9,
        *,
        weight_decay: SupportsFloat = 0.0,
    ) -> None:
        super().__init__(lr=lr, momentum=momentum, weight_decay=weight_decay)

    def _settings(self) -> tuple[Any, ...]:
        return rules.settings(lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)


class Nesterov(Momentum):
    """Nesterov's momentum (CS231n's form): v = momentum v - lr g; p += momentum v - lr g.

    Parameters and attributes are those of :class:`Momentum`.
    """

    _rule = "nesterov_"
