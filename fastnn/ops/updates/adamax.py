"""Adamax."""

from __future__ import annotations

from typing import SupportsFloat, SupportsIndex

from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn._utils.validation import BELOW_ONE, NOT_NEGATIVE, POSITIVE
from fastnn.ops.updates.arrays import update
from fastnn.ops.updates.optimizer import Optimizer, State
from fastnn.ops.updates.rule import Rule, count

RULE = Rule(
    "adamax_",
    states=("m", "u"),
    settings={
        "step": count,
        "lr": POSITIVE,
        "beta1": BELOW_ONE,
        "beta2": BELOW_ONE,
        "eps": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
    },
    counters=("step",),
    sizes=("u",),
)


def adamax_(
    p: Array,
    g: ArrayLike,
    m: Array,
    u: Array,
    step: SupportsIndex,
    lr: SupportsFloat = 0.002,
    beta1: SupportsFloat = 0.9,
    beta2: SupportsFloat = 0.999,
    eps: SupportsFloat = 1e-8,
    *,
    weight_decay: SupportsFloat = 0.0,
) -> None:
    """Adamax (Kingma and Ba, 2015, algorithm 2), in place.

    m = beta1 m + (1 - beta1) g; u = max(beta2 u, abs(g) + eps); then
    p -= lr / (1 - beta1^step) m / u.
    The paper has no `eps`; it stands where PyTorch has it.

    Parameters
    ----------
    p : ndarray of float32 or float64
        Parameter, any shape; updated.
    g : array_like, shaped like `p`
        Gradient of the loss.
    m : ndarray, shaped like `p`
        Moving average of the gradient, zero at the start; updated.
    u : ndarray, shaped like `p`
        Largest size of a gradient, which decays, zero at the start; updated.
    step : int
        Number of this update, at least 1.
    lr : float
        Learning rate, above 0.
    beta1 : float
        Share of the average that is kept, in [0, 1).
    beta2 : float
        Share of the largest size that is kept, in [0, 1).
    eps : float
        Added to the size, at least 0.
    weight_decay : float
        L2 penalty, at least 0: ``weight_decay * p`` is added to the gradient.

    Raises
    ------
    TypeError, ValueError
        As :func:`momentum_`.
    """
    update(RULE, p, g, m, u, step, lr, beta1, beta2, eps, weight_decay)


class Adamax(Optimizer):
    """Adamax (Kingma and Ba, 2015): Adam by the largest gradient; see :func:`fastnn.ops.adamax_`.

    Parameters
    ----------
    lr : float
        Learning rate, above 0.
    beta1 : float
        Share of the moving average that is kept, in [0, 1).
    beta2 : float
        Share of the largest size that is kept, in [0, 1).
    eps : float
        Added to the size, at least 0.
    weight_decay : float
        L2 penalty, at least 0.

    Attributes
    ----------
    iter : int
        Number of updates so far.
    m, u : dict of str to ndarray or None
        Moving averages of the gradients, and their largest sizes, from the first update on.
    """

    beta1: float
    beta2: float
    eps: float
    m: State | None
    u: State | None

    rule = RULE

    def __init__(
        self,
        lr: SupportsFloat = 0.002,
        beta1: SupportsFloat = 0.9,
        beta2: SupportsFloat = 0.999,
        *,
        eps: SupportsFloat = 1e-8,
        weight_decay: SupportsFloat = 0.0,
    ) -> None:
        super().__init__(lr=lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)
