"""AdaGrad."""

from __future__ import annotations

from typing import SupportsFloat

from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn._utils.validation import NOT_NEGATIVE, POSITIVE
from fastnn.ops.updates.arrays import update
from fastnn.ops.updates.optimizer import Optimizer, State
from fastnn.ops.updates.rule import Rule

RULE = Rule(
    "adagrad_",
    states=("h",),
    settings={"lr": POSITIVE, "eps": NOT_NEGATIVE, "weight_decay": NOT_NEGATIVE},
    sizes=("h",),
)


def adagrad_(
    p: Array,
    g: ArrayLike,
    h: Array,
    lr: SupportsFloat = 0.01,
    eps: SupportsFloat = 1e-7,
    *,
    weight_decay: SupportsFloat = 0.0,
) -> None:
    """AdaGrad (Duchi et al., 2011), in place: h += g^2; p -= lr g / (sqrt(h) + eps).

    Parameters
    ----------
    p : ndarray of float32 or float64
        Parameter, any shape; updated.
    g : array_like, shaped like `p`
        Gradient of the loss.
    h : ndarray, shaped like `p`
        Sum of squared gradients, zero at the start; updated.
    lr : float
        Learning rate, above 0.
    eps : float
        Added to the root, at least 0.
    weight_decay : float
        L2 penalty, at least 0: ``weight_decay * p`` is added to the gradient.

    Raises
    ------
    TypeError, ValueError
        As :func:`momentum_`.
    """
    update(RULE, p, g, h, lr, eps, weight_decay)


class AdaGrad(Optimizer):
    """AdaGrad (Duchi et al., 2011): h += g^2; p -= lr g / (sqrt(h) + eps).

    Parameters
    ----------
    lr : float
        Learning rate, above 0.
    eps : float
        Added to the root, at least 0.
    weight_decay : float
        L2 penalty, at least 0.

    Attributes
    ----------
    h : dict of str to ndarray or None
        Sums of squared gradients, from the first update on.
    """

    eps: float
    h: State | None

    rule = RULE

    def __init__(
        self,
        lr: SupportsFloat = 0.01,
        *,
        eps: SupportsFloat = 1e-7,
        weight_decay: SupportsFloat = 0.0,
    ) -> None:
        super().__init__(lr=lr, eps=eps, weight_decay=weight_decay)
