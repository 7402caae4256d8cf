"""RMSProp."""

from __future__ import annotations

from typing import Any, SupportsFloat

from fastnn.ops import _updates as rules
from fastnn.optimizers.optimizer import Optimizer, State


class RMSProp(Optimizer):
    """RMSProp (Hinton, 2012).

    h = decay_rate h + (1 - decay_rate) g^2; p -= lr g / (sqrt(h) + eps).

    Parameters
    ----------
    lr : float
        Learning rate, above 0.
    decay_rate : float
        Share of the average that is kept, in [0, 1).
    eps : float
        Added to the root, from 0 up.
    weight_decay : float
        L2 penalty, from 0 up.

    Attributes
    ----------
    h : dict of str to ndarray or None
        Moving averages of squared gradients, from the first update on.
    """

    decay_rate: float
    eps: float
    h: State | None

    _rule = "rmsprop_"
    _state_names = ("h",)

    def __init__(
        self,
        lr: SupportsFloat = 0.01,
        decay_rate: SupportsFloat = 0.99,
        *,
        eps: SupportsFloat = 1e-7,
        weight_decay: SupportsFloat = 0.0,
    ) -> None:
        super().__init__(lr=lr, decay_rate=decay_rate, eps=eps, weight_decay=weight_decay)

    def _settings(self) -> tuple[Any, ...]:
        return rules.settings(
            lr=self.lr,
            decay_rate=self.decay_rate,
            eps=self.eps,
            weight_decay=self.weight_decay,
        )


RMSprop = RMSProp
