"""Last layers: targets in, a loss out."""

from __future__ import annotations

from dataclasses import replace
from typing import SupportsFloat

from numpy.typing import ArrayLike

from fastnn import ops
from fastnn._utils import validation as numbers
from fastnn._utils.reprs import of_settings
from fastnn._utils.types import Array
from fastnn.kernels.program import kinds
from fastnn.layers._kept import after_forward
from fastnn.layers.record import Record, register
from fastnn.layers.settings import Setting
from fastnn.ops._targets import one_output


class _WithLoss:
    """What the last layers share: targets in, a loss out, the gradient kept."""

    def __init__(self) -> None:
        self.loss: float | None = None
        self.t: ArrayLike | None = None
        self.x: ArrayLike | None = None
        self._dx: Array | None = None

    def __repr__(self) -> str:
        return of_settings(self, changed=True)

    def forward(self, x: ArrayLike, t: ArrayLike, weights: ArrayLike | None = None) -> float:
        """Return the loss for predictions x and targets t, both (N, D); t may be (N,) if D is 1.

        With weights (N,) of the samples it is sum(w loss) / sum(w).
        """
        loss, dx = self._of(x, t, weights)
        self.x, self.t, self.loss, self._dx = x, t, loss, dx
        return loss

    def _of(self, x: ArrayLike, t: ArrayLike, weights: ArrayLike | None) -> tuple[float, Array]:
        raise NotImplementedError

    def backward(self, dout: float = 1) -> Array:
        """Return the gradient of the loss with respect to x, times `dout`."""
        dx: Array = after_forward(self, self._dx)
        return dx if dout == 1 else dx * dx.dtype.type(dout)


class _Smoothing(_WithLoss):
    """What the losses of probabilities share."""

    label_smoothing = Setting(numbers.fraction)

    def __init__(self, label_smoothing: SupportsFloat = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing


class SoftmaxWithLoss(_Smoothing):
    """Softmax and cross-entropy, averaged over the batch.

    Parameters
    ----------
    label_smoothing : float
        In [0, 1]: targets are (1 - s) t + s / C (Szegedy et al., 2016).

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

    def forward(self, x: ArrayLike, t: ArrayLike, weights: ArrayLike | None = None) -> float:
        """Return the loss for scores x (N, C), C > 1, and labels (N,) or one-hot targets (N, C).

        With weights (N,) of the samples it is sum(w loss) / sum(w).
        """
        if getattr(x, "shape", ())[1:] == (1,):
            raise one_output("x.shape[1]")
        return super().forward(x, t, weights)

    def _of(self, x: ArrayLike, t: ArrayLike, weights: ArrayLike | None) -> tuple[float, Array]:
        smoothing = self.label_smoothing
        return ops.softmax_cross_entropy(x, t, weights=weights, label_smoothing=smoothing)


class SigmoidWithLoss(_Smoothing):
    """Sigmoid and cross-entropy, summed over outputs, averaged over the batch.

    Each output answers a question of its own, with yes or no: one for two classes, or several of
    which any number may be right (multilabel).

    The layer of this name in the book's second volume takes one score a sample, (N,), and adds 1e-7
    to probabilities before it takes logarithms. This one takes (N, D), one column too, and the loss
    is exact however large scores are. Gradients are the same.

    Parameters
    ----------
    label_smoothing : float
        In [0, 1]: targets are (1 - s) t + s / 2.

    Attributes
    ----------
    loss : float or None
        The last loss.
    x, t : array_like or None
        The last scores and targets.
    """

    @property
    def y(self) -> Array | None:
        """Probabilities of a yes in the last forward pass, (N, D), computed when asked for."""
        return None if self.x is None else ops.sigmoid(self.x)

    def _of(self, x: ArrayLike, t: ArrayLike, weights: ArrayLike | None) -> tuple[float, Array]:
        smoothing = self.label_smoothing
        return ops.binary_cross_entropy(x, t, weights=weights, label_smoothing=smoothing)


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

    def _of(self, x: ArrayLike, t: ArrayLike, weights: ArrayLike | None) -> tuple[float, Array]:
        return ops.mean_squared_error(x, t, weights=weights)


class PoissonWithLoss(_WithLoss):
    """Exponential and half the deviance of Poisson distributions, summed over outputs.

    For counts and other targets of at least 0, whose means the exponentials of the scores are:
    t log(t) - t x - t + exp(x), averaged over the batch.

    Attributes
    ----------
    loss : float or None
        The last loss.
    x, t : array_like or None
        The last scores, logarithms of means, and targets.
    """

    def _of(self, x: ArrayLike, t: ArrayLike, weights: ArrayLike | None) -> tuple[float, Array]:
        return ops.poisson(x, t, weights=weights)


class HuberWithLoss(_WithLoss):
    """Identity and Huber's loss (1964), summed over outputs, averaged over the batch.

    Half the square of a difference d up to `delta`, and delta (abs(d) - delta / 2) beyond:
    outliers pull no more than that.

    Parameters
    ----------
    delta : float
        Above 0.

    Attributes
    ----------
    loss : float or None
        The last loss.
    x, t : array_like or None
        The last predictions and targets.
    """

    delta = Setting(numbers.positive)

    def __init__(self, delta: SupportsFloat = 1.0) -> None:
        super().__init__()
        self.delta = delta

    @property
    def y(self) -> ArrayLike | None:
        """The last input."""
        return self.x

    def _of(self, x: ArrayLike, t: ArrayLike, weights: ArrayLike | None) -> tuple[float, Array]:
        return ops.huber(x, t, self.delta, weights=weights)


_NUMBERS = Record(
    IdentityWithLoss,
    "squared error",
    kept=("x", "t", "_dx"),
    left=("loss",),
    smooth=True,
    of_targets=kinds.SQUARED_ERROR,
    takes="numbers",
)
register(
    replace(
        _NUMBERS,
        kind=SoftmaxWithLoss,
        label="softmax with cross-entropy",
        of_labels=kinds.CROSS_ENTROPY,
        of_targets=kinds.DENSE_CROSS_ENTROPY,
        takes="classes",
        settings=("label_smoothing",),
        of_step="label_smoothing",
    )
)
register(_NUMBERS)
register(
    replace(
        _NUMBERS,
        kind=SigmoidWithLoss,
        label="sigmoid with cross-entropy",
        of_targets=kinds.BINARY_CROSS_ENTROPY,
        takes="answers",
        settings=("label_smoothing",),
        of_step="label_smoothing",
    )
)
register(
    replace(
        _NUMBERS,
        kind=PoissonWithLoss,
        label="Poisson deviance",
        of_targets=kinds.POISSON,
        takes="counts",
    )
)
register(
    replace(
        _NUMBERS,
        kind=HuberWithLoss,
        label="Huber's loss",
        of_targets=kinds.HUBER,
        settings=("delta",),
        of_step="delta",
    )
)
