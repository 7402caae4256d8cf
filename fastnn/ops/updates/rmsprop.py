"""RMSProp."""

from __future__ import annotations

from typing import SupportsFloat

from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn._utils.validation import BELOW_ONE, NOT_NEGATIVE, POSITIVE
from fastnn.ops.updates.arrays import update
from fastnn.ops.updates.optimizer import Optimizer, State
from fastnn.ops.updates.rule import Rule

RULE = Rule(
    "rmsprop_",
    states=("h",),
    settings={
        "lr": POSITIVE,
        "decay_rate": BELOW_ONE,
        "eps": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
    },
    sizes=("h",),
)


def rmsprop_(
    p: Array,
    g: ArrayLike,
    h: Array,
    lr: SupportsFloat = 0.01,
    decay_rate: SupportsFloat = 0.99,
    eps: SupportsFloat = 1e-7,
    *,
    weight_decay: SupportsFloat = 0.0,
) -> None:
    """RMSProp (Hinton, 2012), in place.

    h = decay_rate h + (1 - decay_rate) g^2; p -= lr g / (sqrt(h) + eps).

    Parameters
    ----------
    p : ndarray of float32 or float64
        Parameter, any shape; updated.
    g : array_like, shaped like `p`
        Gradient of the loss.
    h : ndarray, shaped like `p`
        Moving average of squared gradients, zero at the start; updated.
    lr : float
        Learning rate, above 0.
    decay_rate : float
        Share of the average that is kept, in [0, 1).
    eps : float
        Added to the root, at least 0.
    weight_decay : float
        L2 penalty, at least 0: ``weight_decay * p`` is added to the gradient.

    Raises
    ------
    TypeError, ValueError
        As :func:`momentum_`.
    """
    update(RULE, p, g, h, lr, decay_rate, eps, weight_decay)


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
        Added to the root, at least 0.
    weight_decay : float
        L2 penalty, at least 0.

    Attributes
    ----------
    h : dict of str to ndarray or None
        Moving averages of squared gradients, from the first update on.
    """

    decay_rate: float
    eps: float
    h: State | None

    rule = RULE

    def __init__(
        self,
        lr: SupportsFloat = 0.01,
        decay_rate: SupportsFloat = 0.99,
        *,
        eps: SupportsFloat = 1e-7,
        weight_decay: SupportsFloat = 0.0,
    ) -> None:
        super().__init__(lr=lr, decay_rate=decay_rate, eps=eps, weight_decay=weight_decay)


RMSprop = RMSProp
