"""The optimizers of the stochastic solvers, and their learning rate from epoch to epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fastnn import optimizers
from fastnn.optimizers.updater import anew, optimizer_of

# An adaptive rate is divided by this where the loss does not improve, down to the least one.
_DIVISOR, _LEAST = 5.0, 1e-6


@dataclass
class Solver:
    """An optimizer, whose `lr` is the learning rate of the next epoch.

    Attributes
    ----------
    optimizer : Optimizer
    learning_rate_init : float
        At the beginning.
    rule : {"constant", "invscaling", "adaptive"}
    power_t : float
        Exponent of "invscaling".
    """

    optimizer: Any
    learning_rate_init: float
    rule: str = "constant"
    power_t: float = 0.5

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next epoch."""
        return float(self.optimizer.lr)

    def rate_after(self, seen: int) -> float:
        """Return the rate of an epoch that so many samples come before."""
        if self.rule == "invscaling":
            return float(self.learning_rate_init / (seen + 1) ** self.power_t)
        return self.learning_rate

    def epoch_ends(self, seen: int) -> None:
        """Set the rate of the next epoch, after so many samples since the first one."""
        if self.rule == "invscaling":
            self.optimizer.lr = self.rate_after(seen)

    def goes_on(self) -> tuple[bool, str]:
        """Say whether to go on, with a lower rate, where nothing improves; and what happens."""
        if self.rule != "adaptive":
            return False, "Stopping."
        if self.learning_rate <= _LEAST:
            return False, "Learning rate too small. Stopping."
        self.optimizer.lr = self.learning_rate / _DIVISOR
        return True, f"Setting learning rate to {self.learning_rate:f}"


def solver_of(estimator: Any) -> Solver:
    """Return the solver that the parameters of an estimator ask for, at its beginning."""
    rate = estimator.learning_rate_init
    if estimator.optimizer is not None:
        optimizer = anew(optimizer_of(estimator.optimizer, {}))
        return Solver(optimizer, optimizer.lr)
    if estimator.solver == "adam":
        return Solver(
            optimizers.Adam(rate, estimator.beta_1, estimator.beta_2, eps=estimator.epsilon), rate
        )
    # 1 is allowed; the number below it differs by less than one rounding does.
    momentum = min(estimator.momentum, math.nextafter(1.0, 0.0))
    kind = optimizers.Nesterov if estimator.nesterovs_momentum else optimizers.Momentum
    return Solver(kind(rate, momentum), rate, estimator.learning_rate, estimator.power_t)
