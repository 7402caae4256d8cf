"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, SupportsFloat

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.ops import _updates as rules
from fastnn.optimizers.optimizer import Optimizer, State


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
