"""NAdam."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, SupportsFloat, SupportsIndex

from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn._utils.validation import BELOW_ONE, FRACTION, NOT_NEGATIVE, POSITIVE
from fastnn.kernels.plain.powers import nadam_momentum
from fastnn.ops.updates.arrays import update
from fastnn.ops.updates.optimizer import Optimizer, State
from fastnn.ops.updates.rule import Rule, count

RULE = Rule(
    "nadam_",
    states=("m", "v"),
    settings={
        "step": count,
        "mu_product": FRACTION,
        "lr": POSITIVE,
        "beta1": BELOW_ONE,
        "beta2": BELOW_ONE,
        "eps": NOT_NEGATIVE,
        "momentum_decay": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
    },
    counters=("step", "mu_product"),
    sizes=("v",),
)


def nadam_(
    p: Array,
    g: ArrayLike,
    m: Array,
    v: Array,
    step: SupportsIndex,
    mu_product: SupportsFloat,
    lr: SupportsFloat = 0.002,
    beta1: SupportsFloat = 0.9,
    beta2: SupportsFloat = 0.999,
    eps: SupportsFloat = 1e-8,
    momentum_decay: SupportsFloat = 0.004,
    *,
    weight_decay: SupportsFloat = 0.0,
) -> None:
    """NAdam, Adam with Nesterov's momentum (Dozat, 2016), in place.

    m = beta1 m + (1 - beta1) g and v = beta2 v + (1 - beta2) g^2; with the momentum
    mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2) of update t, and P_t, the product of all up to
    mu_t,
    p -= lr ((1 - mu_t) / (1 - P_t) g + mu_(t+1) / (1 - P_(t+1)) m) / (sqrt(v / c2) + eps)
    with t = step and c2 = 1 - beta2^step, as in PyTorch.

    Parameters
    ----------
    p : ndarray of float32 or float64
        Parameter, any shape; updated.
    g : array_like, shaped like `p`
        Gradient of the loss.
    m, v : ndarray, shaped like `p`
        Moving averages of the gradient and of its square, zero at the start; updated.
    step : int
        Number of this update, at least 1.
    mu_product : float
        The product of the momenta of all updates before this one, in [0, 1]; at the start 1.
    lr : float
        Learning rate, above 0.
    beta1, beta2 : float
        Shares of the averages that are kept, in [0, 1).
    eps : float
        Added to the root, at least 0.
    momentum_decay : float
        How fast the momentum rises from beta1 / 2 to beta1, at least 0.
    weight_decay : float
        L2 penalty, at least 0: ``weight_decay * p`` is added to the gradient.

    Raises
    ------
    TypeError, ValueError
        As :func:`momentum_`.
    """
    update(RULE, p, g, m, v, step, mu_product, lr, beta1, beta2, eps, momentum_decay, weight_decay)


class NAdam(Optimizer):
    """NAdam, Adam with Nesterov's momentum (Dozat, 2016); see :func:`fastnn.ops.nadam_`.

    Parameters
    ----------
    lr : float
        Learning rate, above 0.
    beta1, beta2 : float
        Shares of the moving averages that are kept, in [0, 1).
    eps : float
        Added to the root, at least 0.
    momentum_decay : float
        How fast the momentum rises from beta1 / 2 to beta1, at least 0.
    weight_decay : float
        L2 penalty, at least 0.

    Attributes
    ----------
    iter : int
        Number of updates so far.
    mu_product : float
        The product of their momenta.
    m, v : dict of str to ndarray or None
        Moving averages of the gradients and of their squares, from the first update on.
    """

    beta1: float
    beta2: float
    eps: float
    momentum_decay: float
    mu_product: float
    m: State | None
    v: State | None

    rule = RULE
    _first = MappingProxyType({"iter": 0, "mu_product": 1.0})

    def __init__(
        self,
        lr: SupportsFloat = 0.002,
        beta1: SupportsFloat = 0.9,
        beta2: SupportsFloat = 0.999,
        *,
        eps: SupportsFloat = 1e-8,
        momentum_decay: SupportsFloat = 0.004,
        weight_decay: SupportsFloat = 0.0,
    ) -> None:
        super().__init__(
            lr=lr, beta1=beta1, beta2=beta2, eps=eps, momentum_decay=momentum_decay,
            weight_decay=weight_decay,
        )  # fmt: skip

    def _products(self, steps: int) -> list[float]:
        """Return `mu_product` as it is, and after each of the next so many updates."""
        products = [self.mu_product]
        for step in range(self.iter + 1, self.iter + 1 + steps):
            momentum = nadam_momentum(self.beta1, step, self.momentum_decay)
            products.append(products[-1] * momentum)
        return products

    def _counters(self, steps: int) -> dict[str, Any]:
        return super()._counters(steps) | {"mu_product": self._products(steps)[:-1]}

    def _advance(self, steps: int) -> None:
        self.mu_product = self._products(steps)[-1]
        super()._advance(steps)
