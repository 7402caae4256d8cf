"""Last layers: targets in, a loss out."""

from __future__ import annotations

from dataclasses import replace

from numpy.typing import ArrayLike

from fastnn import ops
from fastnn._utils.reprs import of_settings
from fastnn._utils.types import Array
from fastnn.kernels.program import kinds
from fastnn.layers._kept import after_forward
from fastnn.layers.record import Record, register
from fastnn.ops._targets import one_output


class _WithLoss:
    """What the last layers share: targets in, a loss out, the gradient kept."""

    def __init__(self) -> None:
        self.loss: float | None = None
        self.t: ArrayLike | None = None
        self.x: ArrayLike | None = None
        self._dx: Array | None = None

    def __repr__(self) -> str:
        return of_settings(self)

    def backward(self, dout: float = 1) -> Array:
        """Return the gradient of the loss with respect to x, times `dout`."""
        dx: Array = after_forward(self, self._dx)
        return dx if dout == 1 else dx * dx.dtype.type(dout)


class SoftmaxWithLoss(_WithLoss):
    """Softmax and cross-entropy, averaged over the batch.

    Attributes
    ----------
    loss : float or None
        The last loss.
    x, t : array_like or None
        The last scores and targets.
    """

    @property
    def y(self) -> Array | None:
        """Probabilities of the last forward pass, shape (N, C), computed when asked for."""
        return None if self.x is None else ops.softmax(self.x)

    def forward(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the loss for scores x (N, C), C > 1, and labels (N,) or one-hot targets (N, C)."""
        if getattr(x, "shape", ())[1:] == (1,):
            raise one_output("x.shape[1]")
        loss, dx = ops.softmax_cross_entropy(x, t)
        self.x, self.t, self.loss, self._dx = x, t, loss, dx
        return loss


class IdentityWithLoss(_WithLoss):
    """Identity and half the squared error, summed over outputs, averaged over the batch.

    Attributes
    ----------
    loss : float or None
        The last loss.
    x, t : array_like or None
        The last predictions and targets.
    """

    @property
    def y(self) -> ArrayLike | None:
        """The last input."""
        return self.x

    def forward(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the loss for predictions x and targets t, both (N, D); t may be (N,) if D is 1."""
        loss, dx = ops.mean_squared_error(x, t)
        self.x, self.t, self.loss, self._dx = x, t, loss, dx
        return loss


_LOSS = Record(
    SoftmaxWithLoss,
    "softmax with cross-entropy",
    kept=("x", "t", "_dx"),
    left=("loss",),
    smooth=True,
    of_labels=kinds.CROSS_ENTROPY,
    of_targets=kinds.DENSE_CROSS_ENTROPY,
)
register(_LOSS)
register(
    replace(
        _LOSS,
        kind=IdentityWithLoss,
        label="squared error",
        of_labels=None,
        of_targets=kinds.SQUARED_ERROR,
    )
)
