"""Optimizers: state around the in-place updates of :mod:`fastnn.ops`.

The interface is that of *Deep Learning from Scratch*: ``update(params, grads)`` takes two
dicts of arrays with the same keys and changes the arrays in `params` in place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, SupportsFloat

import numpy as np

from fastnn import _numbers as numbers
from fastnn._types import Array
from fastnn.ops import _updates as rules

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "RMSProp",
    "RMSprop",
]

State = dict[str, Array]


class Optimizer(ABC):
    """What the optimizers share.

    Parameters
    ----------
    **settings : float
        The rule's numbers by name, such as ``lr``. They become attributes, which may be changed
        between updates.
    """

    lr: float
    weight_decay: float

    _rule: ClassVar[str]
    _state_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **settings: SupportsFloat) -> None:
        for name, value in settings.items():
            setattr(self, name, numbers.number(name, value, rules.RANGES[name]))
        for name in self._state_names:
            setattr(self, name, None)

    def update(self, params: Mapping[str, Array], grads: Mapping[str, Array]) -> None:
        """Change the arrays in `params` in place, by one step along `grads`.

        Parameters
        ----------
        params : mapping of str to ndarray
            Arrays of float32 or float64; they keep their identity.
        grads : mapping of str to ndarray
            Gradients of the same shapes. Keys that `params` lacks are passed over.

        Raises
        ------
        KeyError
            If `grads` lacks a key of `params`.
        TypeError, ValueError
            If shapes differ, an array cannot be updated, or a setting is out of its range.
            No parameter has been changed when an error is raised.
        """
        settings = self._settings()
        states: dict[str, State] = {name: getattr(self, name) or {} for name in self._state_names}
        if not rules.update_dicts(self._rule, params, grads, states, settings):
            states = {name: _complete(state, params) for name, state in states.items()}
            rules.update_each(self._rule, params, grads, states, settings)
            for name, state in states.items():
                setattr(self, name, state)

    @abstractmethod
    def _settings(self) -> tuple[Any, ...]:
        """Return the settings of the rule, checked."""


def _complete(state: State, params: Mapping[str, Array]) -> State:
    """Return the state with an array of zeros for each parameter that it lacks."""
    lacking = {key: np.zeros_like(p) for key, p in params.items() if key not in state}
    return state | lacking if lacking else state


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


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), with bias correction; see :func:`fastnn.ops.adam_`.

    Parameters
    ----------
    lr : float
        Learning rate, above 0.
    beta1, beta2 : float
        Shares of the moving averages that are kept, in [0, 1).
    eps : float
        Added to the root, from 0 up.
    weight_decay : float
        L2 penalty, from 0 up.
    bias_correction : {"folded", "explicit"}
        Folded into the step size, as in the book, or applied to the moments, as in
        algorithm 1 of the paper and in PyTorch.

    Attributes
    ----------
    iter : int
        Number of updates so far.
    m, v : dict of str to ndarray or None
        Moving averages of the gradients and of their squares, from the first update on.
    """

    beta1: float
    beta2: float
    eps: float
    m: State | None
    v: State | None

    _rule = "adam_"
    _state_names = ("m", "v")
    _decoupled = False

    def __init__(
        self,
        lr: SupportsFloat = 0.001,
        beta1: SupportsFloat = 0.9,
        beta2: SupportsFloat = 0.999,
        *,
        eps: SupportsFloat = 1e-7,
        weight_decay: SupportsFloat = 0.0,
        bias_correction: str = "folded",
    ) -> None:
        super().__init__(lr=lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)
        self.bias_correction = numbers.one_of(
            "bias_correction", bias_correction, rules.BIAS_CORRECTIONS
        )
        self.iter = 0

    def update(self, params: Mapping[str, Array], grads: Mapping[str, Array]) -> None:  # noqa: D102
        super().update(params, grads)
        self.iter += 1

    def _settings(self) -> tuple[Any, ...]:
        numbers_ = rules.settings(
            lr=self.lr,
            beta1=self.beta1,
            beta2=self.beta2,
            eps=self.eps,
            weight_decay=self.weight_decay,
        )
        return rules.adam_settings(self.iter + 1, numbers_, self._decoupled, self.bias_correction)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    Parameters and attributes are those of :class:`Adam`, but for ``weight_decay``, which
    subtracts ``lr * weight_decay * p`` from each parameter instead of adding to its gradient,
    and is 0.01 by default, as in PyTorch.
    """

    _decoupled = True

    def __init__(
        self,
        lr: SupportsFloat = 0.001,
        beta1: SupportsFloat = 0.9,
        beta2: SupportsFloat = 0.999,
        *,
        eps: SupportsFloat = 1e-7,
        weight_decay: SupportsFloat = 0.01,
        bias_correction: str = "folded",
    ) -> None:
        super().__init__(
            lr,
            beta1,
            beta2,
            eps=eps,
            weight_decay=weight_decay,
            bias_correction=bias_correction,
        )


OPTIMIZERS: Mapping[str, type[Optimizer]] = MappingProxyType(
    {
        "sgd": SGD,
        "momentum": Momentum,
        "nesterov": Nesterov,
        "adagrad": AdaGrad,
        "rmsprop": RMSProp,
        "adam": Adam,
        "adamw": AdamW,
    }
)
