"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

from typing import ClassVar, SupportsFloat, SupportsIndex

from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn._utils.validation import BELOW_ONE, NOT_NEGATIVE, POSITIVE
from fastnn.ops.updates.arrays import update
from fastnn.ops.updates.optimizer import Optimizer, State
from fastnn.ops.updates.rule import Choice, Rule, count, flag

RULE = Rule(
    "adam_",
    states=("m", "v"),
    settings={
        "step": count,
        "lr": POSITIVE,
        "beta1": BELOW_ONE,
        "beta2": BELOW_ONE,
        "eps": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
        "decoupled": flag,
        "bias_correction": Choice(folded=False, explicit=True),
    },
    counters=("step",),
    sizes=("v",),
)


def adam_(
    p: Array,
    g: ArrayLike,
    m: Array,
    v: Array,
    step: SupportsIndex,
    lr: SupportsFloat = 0.001,
    beta1: SupportsFloat = 0.9,
    beta2: SupportsFloat = 0.999,
    eps: SupportsFloat = 1e-7,
    *,
    weight_decay: SupportsFloat = 0.0,
    decoupled: bool = False,
    bias_correction: str = "folded",
) -> None:
    """Adam (Kingma and Ba, 2015) or AdamW (Loshchilov and Hutter, 2019), in place.

    m = beta1 m + (1 - beta1) g and v = beta2 v + (1 - beta2) g^2; then with the corrections
    c1 = 1 - beta1^step and c2 = 1 - beta2^step,

    - folded: p -= (lr sqrt(c2) / c1) m / (sqrt(v) + eps), as in the book and at the end of
      section 2 of the paper;
    - explicit: p -= lr (m / c1) / (sqrt(v / c2) + eps), as in algorithm 1 of the paper and
      in PyTorch.

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
    lr : float
        Learning rate, above 0.
    beta1, beta2 : float
        Shares of the averages that are kept, in [0, 1).
    eps : float
        Added to the root, at least 0.
    weight_decay : float
        At least 0: ``weight_decay * p`` is added to the gradient, or if `decoupled`,
        ``lr * weight_decay * p`` is subtracted from the parameter.
    decoupled : bool
        Whether weight decay bypasses the averages (AdamW).
    bias_correction : {"folded", "explicit"}
        Where the corrections stand, and so what `eps` is added to.

    Raises
    ------
    TypeError, ValueError
        As :func:`momentum_`.
    """
    update(RULE, p, g, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled, bias_correction)


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), with bias correction; see :func:`fastnn.ops.adam_`.

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
    bias_correction: str
    m: State | None
    v: State | None

    rule = RULE
    decoupled: ClassVar[bool] = False

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
        super().__init__(
            lr=lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay,
            bias_correction=bias_correction,
        )  # fmt: skip


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    Parameters and attributes are those of :class:`Adam`, but for ``weight_decay``, which
    subtracts ``lr * weight_decay * p`` from each parameter instead of adding to its gradient,
    and is 0.01 by default, as in PyTorch.
    """

    decoupled = True

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
