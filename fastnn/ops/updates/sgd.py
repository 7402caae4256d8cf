"""Stochastic gradient descent."""

from __future__ import annotations

from typing import SupportsFloat

from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn._utils.validation import NOT_NEGATIVE, POSITIVE
from fastnn.ops.updates.arrays import update
from fastnn.ops.updates.optimizer import Optimizer
from fastnn.ops.updates.rule import Rule

RULE = Rule(
    "sgd_",
    states=(),
    settings={"lr": POSITIVE, "weight_decay": NOT_NEGATIVE},
)


def sgd_(
    p: Array, g: ArrayLike, lr: SupportsFloat = 0.01, *, weight_decay: SupportsFloat = 0.0
) -> None:
    """Stochastic gradient descent, in place: p -= lr g.

    Parameters
    ----------
    p : ndarray of float32 or float64
        Parameter, any shape; updated.
    g : array_like, shaped like `p`
        Gradient of the loss.
    lr : float
        Learning rate, above 0.
    weight_decay : float
        L2 penalty, at least 0: ``weight_decay * p`` is added to the gradient.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, `p` is read-only or of another dtype, or a number is out of its
        range; nothing has been written then.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> p = np.array([1.0, 2.0])
    >>> ops.sgd_(p, np.array([1.0, -1.0]), lr=0.5)
    >>> p
    array([0.5, 2.5])
    """
    update(RULE, p, g, lr, weight_decay)


class SGD(Optimizer):
    """Stochastic gradient descent: p -= lr g.

    Parameters
    ----------
    lr : float
        Learning rate, above 0.
    weight_decay : float
        L2 penalty, at least 0.
    """

    rule = RULE

    def __init__(self, lr: SupportsFloat = 0.01, *, weight_decay: SupportsFloat = 0.0) -> None:
        super().__init__(lr=lr, weight_decay=weight_decay)
