"""AMSGrad."""

from __future__ import annotations

from typing import SupportsFloat, SupportsIndex

from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn._utils.validation import BELOW_ONE, NOT_NEGATIVE, POSITIVE
from fastnn.ops.updates.arrays import update
from fastnn.ops.updates.optimizer import Optimizer, State
from fastnn.ops.updates.rule import Rule, count

RULE = Rule(
    "amsgrad_",
    states=("m", "v", "v_max"),
    settings={
        "step": count,
        "lr": POSITIVE,
        "beta1": BELOW_ONE,
        "beta2": BELOW_ONE,
        "eps": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
    },
    counters=("step",),
    sizes=("v", "v_max"),
)


def amsgrad_(
    p: Array,
    g: ArrayLike,
    m: Array,
    v: Array,
    v_max: Array,
    step: SupportsIndex,
    lr: SupportsFloat = 0.001,
    beta1: SupportsFloat = 0.9,
    beta2: SupportsFloat = 0.999,
    eps: SupportsFloat = 1e-8,
    *,
    weight_decay: SupportsFloat = 0.0,
) -> None:
    """AMSGrad (Reddi, Kale and Kumar, 2018), in place.

    m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; v_max = max(v_max, v); then
    p -= lr (m / c1) / (sqrt(v_max / c2) + eps) with c1 = 1 - beta1^step and c2 = 1 - beta2^step.
    The paper has neither corrections nor `eps`; they stand where PyTorch's
    ``Adam(amsgrad=True)`` has them.

    Parameters
    ----------
    p : ndarray of float32 or float64
        Parameter, any shape; updated.
    g : array_like, shaped like `p`
        Gradient of the loss.
    m, v : ndarray, shaped like `p`
        Moving averages of the gradient and of its square, zero at the start; updated.
    v_max : ndarray, shaped like `p`
        The largest v so far, zero at the start; updated.
    step : int
        Number of this update, at least 1.
    lr : float
        Learning rate, above 0.
    beta1, beta2 : float
        Shares of the averages that are kept, in [0, 1).
    eps : float
        Added to the root, at least 0.
    weight_decay : float
        L2 penalty, at least 0: ``weight_decay * p`` is added to the gradient.

    Raises
    ------
    TypeError, ValueError
        As :func:`momentum_`.
    """
    update(RULE, p, g, m, v, v_max, step, lr, beta1, beta2, eps, weight_decay)


class AMSGrad(Optimizer):
    """AMSGrad (Reddi, Kale and Kumar, 2018): Adam with a rate per parameter that only falls.

    See :func:`fastnn.ops.amsgrad_`.

    Parameters
    ----------
    lr : float
        Learning rate, above 0.
    beta1, beta2 : float
        Shares of the moving averages that are kept, in [0, 1).
    eps : float
        Added to the root, at least 0.
    weight_decay : float
        L2 penalty, at least 0.

    Attributes
    ----------
    iter : int
        Number of updates so far.
    m, v, v_max : dict of str to ndarray or None
        Moving averages of the gradients and of their squares, and the largest of the latter,
        from the first update on.
    """

    beta1: float
    beta2: float
    eps: float
    m: State | None
    v: State | None
    v_max: State | None

    rule = RULE

    def __init__(
        self,
        lr: SupportsFloat = 0.001,
        beta1: SupportsFloat = 0.9,
        beta2: SupportsFloat = 0.999,
        *,
        eps: SupportsFloat = 1e-8,
        weight_decay: SupportsFloat = 0.0,
    ) -> None:
        super().__init__(lr=lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)
