"""What differs in the repository of the Japanese edition: an optimizer, and the trainer's."""

from __future__ import annotations

from typing import Any

from fastnn import optimizers
from fastnn.dropin.dlfs import optimizer, trainer

__all__ = ["Nesterov", "Trainer"]


class Nesterov(optimizer.Nesterov):
    """Nesterov's momentum: v = momentum v - lr g; p += momentum v - lr g."""

    _rule = optimizers.Nesterov.rule

    def _each(self, params: Any, grads: Any, key: Any) -> None:
        params[key] += self.momentum * self.momentum * self.v[key]
        params[key] -= (1 + self.momentum) * self.lr * grads[key]
        self.v[key] *= self.momentum
        self.v[key] -= self.lr * grads[key]


class Trainer(trainer.Trainer):
    """The book's trainer, with that Nesterov."""

    def _global(self, name: str) -> Any:
        return globals()[name] if name in globals() else super()._global(name)
