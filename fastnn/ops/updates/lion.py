"""Lion."""

from __future__ import annotations

from typing import SupportsFloat

from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn._utils.validation import BELOW_ONE, NOT_NEGATIVE, POSITIVE
from fastnn.ops.updates.arrays import update
from fastnn.ops.updates.optimizer import Optimizer, State
from fastnn.ops.updates.rule import Rule

RULE = Rule(
    "lion_",
    states=("m",),
    settings={
        "lr": POSITIVE,
        "beta1": BELOW_ONE,
        "beta2": BELOW_ONE,
        "weight_decay": NOT_NEGATIVE,
    },
)


def lion_(
    p: Array,
    g: ArrayLike,
    m: Array,
    lr: SupportsFloat = 1e-4,
    beta1: SupportsFloat = 0.9,
    beta2: SupportsFloat = 0.99,
    *,
    weight_decay: SupportsFloat = 0.0,
) -> None:
    """Lion (Chen et al., 2023, algorithm 2), in place.

    p -= lr (sign(beta1 m + (1 - beta1) g) + weight_decay p); then
    m = beta2 m + (1 - beta2) g. The sign of 0 is 0, that of NaN is NaN.

    Parameters
    ----------
    p : ndarray of float32 or float64
        Parameter, any shape; updated.
    g : array_like, shaped like `p`
        Gradient of the loss.
    m : ndarray, shaped like `p`
        Moving average of the gradient, zero at the start; updated.
    lr : float
        Learning rate, above 0: how far each element goes. The paper advises a third to a tenth
        of Adam's.
    beta1 : float
        Share of the average in the step, in [0, 1).
    beta2 : float
        Share of the average that is kept, in [0, 1).
    weight_decay : float
        At least 0: ``lr * weight_decay * p`` is subtracted from the parameter.

    Raises
    ------
    TypeError, ValueError
        As :func:`momentum_`.
    """
    update(RULE, p, g, m, lr, beta1, beta2, weight_decay)


class Lion(Optimizer):
    """Lion (Chen et al., 2023): steps by a sign; see :func:`fastnn.ops.lion_`.

    Parameters
    ----------
    lr : float
        Learning rate, above 0; a third to a tenth of Adam's.
    beta1 : float
        Share of the moving average in the step, in [0, 1).
    beta2 : float
        Share of the moving average that is kept, in [0, 1).
    weight_decay : float
        At least 0: ``lr * weight_decay * p`` is subtracted from each parameter (decoupled, as
        that of :class:`AdamW`).

    Attributes
    ----------
    m : dict of str to ndarray or None
        Moving averages of the gradients, from the first update on.
    """

    beta1: float
    beta2: float
    m: State | None

    rule = RULE

    def __init__(
        self,
        lr: SupportsFloat = 1e-4,
        beta1: SupportsFloat = 0.9,
        beta2: SupportsFloat = 0.99,
        *,
        weight_decay: SupportsFloat = 0.0,
    ) -> None:
        super().__init__(lr=lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay)
