"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any, SupportsFloat

from fastnn.ops import _updates as rules
from fastnn.optimizers.optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent: p -= lr g.

    Parameters
    ----------
    lr : float
        Learning rate, above 0.
    weight_decay : float
        L2 penalty, from 0 up.
    """

    _rule = "sgd_"

    def __init__(self, lr: SupportsFloat = 0.01, *, weight_decay: SupportsFloat = 0.0) -> None:
        super().__init__(lr=lr, weight_decay=weight_decay)

    def _settings(self) -> tuple[Any, ...]:
        return rules.settings(lr=self.lr, weight_decay=self.weight_decay)
