"""``common.optimizer``: the book's optimizers.

Arrays that kernels take are updated by one call for all of them; others, and plain numbers, by
the formula in NumPy, one after the other.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from fastnn import optimizers
from fastnn._utils.reprs import of_settings
from fastnn._utils.validation import Range
from fastnn.dropin.dlfs._usual import writable
from fastnn.ops.updates.arrays import update_dicts
from fastnn.ops.updates.rule import Rule

__all__ = ["SGD", "AdaGrad", "Adam", "Momentum", "Nesterov", "RMSprop", "np"]

_NO_DECAY = 0.0


class _Optimizer:
    """What all share: arrays by the kernel of a rule, or each entry by the formula in NumPy."""

    _rule: Rule | None  # None if no kernel has it
    _numbers: tuple[str, ...]  # the attributes that the kernel takes, in its order
    _states: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return of_settings(self)

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        vars(self).update(attributes)
        for name in self._states:
            state = getattr(self, name)
            if state is not None:
                setattr(self, name, {key: writable(value) for key, value in state.items()})

    def update(self, params: Any, grads: Any) -> None:
        """Update all entries of `params`, arrays in place."""
        for name in self._states:
            if getattr(self, name) is None:
                setattr(self, name, {key: np.zeros_like(p) for key, p in params.items()})
        if not self._at_once(params, grads):
            self._prepare()
            for key in params:
                self._each(params, grads, key)

    def _at_once(self, params: Any, grads: Any) -> bool:
        """Update all arrays by one call of the kernel, or write nothing."""
        if self._rule is None:
            return False
        settings = []
        for name in self._numbers:
            value = getattr(self, name)
            low, high, _ = cast("Range", self._rule.settings[name])
            if not isinstance(value, (int, float)) or not low <= value < high:
                return False
            if isinstance(value, np.float64) and not all(map(_is_double, params.values())):
                return False  # it makes other numbers double
            settings.append(float(value))
        states = {name: getattr(self, name) for name in self._states}
        return update_dicts(self._rule, params, grads, states, self._settings(settings))

    def _settings(self, numbers: list[float]) -> tuple[Any, ...]:
        return (*numbers, _NO_DECAY)

    def _prepare(self) -> None:
        """Compute what all entries share."""

    def _each(self, params: Any, grads: Any, key: Any) -> None:
        raise NotImplementedError


def _is_double(array: Any) -> bool:
    return getattr(array, "dtype", None) == np.float64


class SGD(_Optimizer):
    """Gradient descent: p -= lr g."""

    _rule = optimizers.SGD.rule
    _numbers = ("lr",)

    def __init__(self, lr: Any = 0.01) -> None:
        self.lr = lr

    def _each(self, params: Any, grads: Any, key: Any) -> None:
        params[key] -= self.lr * grads[key]


class _WithVelocity(_Optimizer):
    _numbers = ("lr", "momentum")
    _states = ("v",)

    def __init__(self, lr: Any = 0.01, momentum: Any = 0.9) -> None:
        self.lr = lr
        self.momentum = momentum
        self.v: Any = None


class Momentum(_WithVelocity):
    """Momentum: v = momentum v - lr g; p += v."""

    _rule = optimizers.Momentum.rule

    def _at_once(self, params: Any, grads: Any) -> bool:
        for key, v in self.v.items():  # scripts may keep the velocities of a step
            if isinstance(v, np.ndarray):
                self.v[key] = v.copy()
        return super()._at_once(params, grads)

    def _each(self, params: Any, grads: Any, key: Any) -> None:
        self.v[key] = self.momentum * self.v[key] - self.lr * grads[key]
        params[key] += self.v[key]


class Nesterov(_WithVelocity):
    """Nesterov's momentum as in the Korean repository, which uses the velocity after its step.

    v = momentum v - lr g; p += momentum^2 v - (1 + momentum) lr g.
    """

    _rule: Rule | None = None

    def _each(self, params: Any, grads: Any, key: Any) -> None:
        self.v[key] *= self.momentum
        self.v[key] -= self.lr * grads[key]
        params[key] += self.momentum * self.momentum * self.v[key]
        params[key] -= (1 + self.momentum) * self.lr * grads[key]


class AdaGrad(_Optimizer):
    """AdaGrad: h += g^2; p -= lr g / (sqrt(h) + 1e-7)."""

    _rule = optimizers.AdaGrad.rule
    _numbers = ("lr", "eps")
    _states = ("h",)
    eps = 1e-7

    def __init__(self, lr: Any = 0.01) -> None:
        self.lr = lr
        self.h: Any = None

    def _each(self, params: Any, grads: Any, key: Any) -> None:
        self.h[key] += grads[key] * grads[key]
        params[key] -= self.lr * grads[key] / (np.sqrt(self.h[key]) + self.eps)


class RMSprop(_Optimizer):
    """RMSProp: h = decay_rate h + (1 - decay_rate) g^2; p -= lr g / (sqrt(h) + 1e-7)."""

    _rule = optimizers.RMSProp.rule
    _numbers = ("lr", "decay_rate", "eps")
    _states = ("h",)
    eps = 1e-7

    def __init__(self, lr: Any = 0.01, decay_rate: Any = 0.99) -> None:
        self.lr = lr
        self.decay_rate = decay_rate
        self.h: Any = None

    def _each(self, params: Any, grads: Any, key: Any) -> None:
        self.h[key] *= self.decay_rate
        self.h[key] += (1 - self.decay_rate) * grads[key] * grads[key]
        params[key] -= self.lr * grads[key] / (np.sqrt(self.h[key]) + self.eps)


class Adam(_Optimizer):
    """Adam, its bias correction folded into the rate, as at the end of section 2 of the paper."""

    _rule = optimizers.Adam.rule
    _numbers = ("lr", "beta1", "beta2", "eps")
    _states = ("m", "v")
    eps = 1e-7

    def __init__(self, lr: Any = 0.001, beta1: Any = 0.9, beta2: Any = 0.999) -> None:
        self.lr = lr
        self.beta1 = beta1
        self.beta2 = beta2
        self.iter = 0
        self.m: Any = None
        self.v: Any = None

    def update(self, params: Any, grads: Any) -> None:
        """Update all entries of `params`, arrays in place."""
        self.iter += 1
        super().update(params, grads)

    def _settings(self, numbers: list[float]) -> tuple[Any, ...]:
        decoupled, explicit = False, False
        return (self.iter, *numbers, _NO_DECAY, decoupled, explicit)

    def _prepare(self) -> None:
        corrections = np.sqrt(1.0 - self.beta2**self.iter) / (1.0 - self.beta1**self.iter)
        self._lr_t = self.lr * corrections

    def _each(self, params: Any, grads: Any, key: Any) -> None:
        self.m[key] += (1 - self.beta1) * (grads[key] - self.m[key])
        self.v[key] += (1 - self.beta2) * (grads[key] ** 2 - self.v[key])
        params[key] -= self._lr_t * self.m[key] / (np.sqrt(self.v[key]) + self.eps)
