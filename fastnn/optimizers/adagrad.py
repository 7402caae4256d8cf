"""AdaGrad."""

from __future__ import annotations

from typing import Any, SupportsFloat

from fastnn.ops import _updates as rules
from fastnn.optimizers.optimizer import Optimizer, State


class AdaGrad(Optimizer):
    """AdaGrad (Duchi et al., 2011): h += g^2; p -= lr g / (sqrt(h) + eps).

    Parameters
    ----------
    lr : float
        Learning rate, above 0.
    eps : float
        Added to the root, from 0 up.
    weight_decay : float
        L2 penalty, from 0 up.

    Attributes
    ----------
    h : dict of str to ndarray or None
        Sums of squared gradients, from the first update on.
    """

    eps: float
    h: State | None

    _rule = "adagrad_"
    _state_names = ("h",)

    def __init__(
        self,
        lr: SupportsFloat = 0.01,
        *,
        eps: SupportsFloat = 1e-7,
        weight_decay: SupportsFloat = 0.0,
    ) -> None:
        super().__init__(lr=lr, eps=eps, weight_decay=weight_decay)

    def _settings(self) -> tuple[Any, ...]:
        return rules.settings(lr=self.lr, eps=self.eps, weight_decay=self.weight_decay)
