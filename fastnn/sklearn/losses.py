"""Losses of the estimators: one entry each, with all that depends on which one it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import ops
from fastnn._utils.types import Array, Float64s

# Returns the loss of each sample and its gradient, from scores (N, C) and targets.
OfSamples = Callable[[Array, Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Loss:
    """A loss, and the output activation that belongs to it.

    Attributes
    ----------
    out_activation : str
        Its name in scikit-learn.
    activate : function
        Returns what the estimator predicts, from scores.
    of_samples : function
    known : str or None
        What :class:`fastnn.Network` calls it; None if it has none like it.
    of_labels : bool
        Whether targets are numbers of classes, shape (N,), not rows (N, C).
    mean : bool
        Whether scikit-learn reports its mean over outputs, though it descends on the sum.
    """

    out_activation: str
    activate: Callable[[Array], Array]
    of_samples: OfSamples
    known: str | None = None
    of_labels: bool = False
    mean: bool = False

    def last_layer(self, weighted: bool) -> Any:
        """Return what a network takes as its loss."""
        return self.known if self.known and not weighted else LossOfSamples(self, weighted)

    def targets(self, t: Array, weights: Array | None) -> Array:
        """Return targets as the last layer takes them: weights are a last column."""
        if self.known and weights is None:
            return t
        rows = t.reshape(len(t), -1)
        return rows if weights is None else np.column_stack([rows, weights])

    def value(self, scores: Array, t: Array, weights: Float64s | None) -> float:
        """Return the mean over samples, weighted if asked for, as the estimator reports it."""
        losses = self.of_samples(scores, t)[0].astype(np.float64)
        return float(np.average(losses, weights=weights)) * self.reported(scores.shape[1])

    def reported(self, outputs: int) -> float:
        """Return the factor from what is descended on to what is reported."""
        return 1 / outputs if self.mean else 1.0


class LossOfSamples:
    """A last layer of any of the losses, and with weights of samples, in NumPy.

    It makes a network train layer by layer. With weights w the loss is their mean,
    sum(w loss) / sum(w), over the batch.
    """

    def __init__(self, loss: Loss, weighted: bool) -> None:
        self._loss, self.weighted = loss, weighted
        self.loss: float | None = None
        self._dx: Any = None

    def forward(self, x: Array, t: Array) -> float:
        """Return the loss for scores x (N, C) and targets, with weights as their last column."""
        weights = np.ones(len(x))
        if self.weighted:
            t, weights = t[:, :-1], np.asarray(t[:, -1], np.float64)
        if self._loss.of_labels:
            t = t[:, 0].astype(np.int64)
        with np.errstate(all="ignore"):  # what diverges is told of at the end
            losses, gradients = self._loss.of_samples(x, t)
            self._dx = gradients * (weights / weights.sum()).astype(x.dtype)[:, np.newaxis]
            self.loss = float(np.average(losses, weights=weights))
        return self.loss

    def backward(self, dout: float = 1) -> Array:
        """Return the gradient of the loss with respect to x."""
        return self._dx  # type: ignore[no-any-return]


def _cross_entropy(x: Array, t: Array) -> tuple[Array, Array]:
    """log(sum(exp(x))) - x[t]; softmax(x) - onehot(t)."""
    rows = np.arange(len(x))
    shifted = x - x.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    gradient = e / total
    gradient[rows, t] -= 1
    return np.log(total[:, 0]) - shifted[rows, t], gradient


def _logistic(x: Array, t: Array) -> tuple[Array, Array]:
    """Sum of log(1 + exp(x)) - t x over outputs; sigmoid(x) - t."""
    losses = np.maximum(x, 0) - t * x + np.log1p(np.exp(-np.abs(x)))
    return losses.sum(axis=1), ops.sigmoid(x) - t.astype(x.dtype)


def _squared_error(x: Array, t: Array) -> tuple[Array, Array]:
    """Sum of (x - t)^2 / 2 over outputs; x - t."""
    difference = x - t.astype(x.dtype)
    return 0.5 * np.square(difference).sum(axis=1), difference


def _poisson(x: Array, t: Array) -> tuple[Array, Array]:
    """Half the deviance, the sum of t log t - t x - t + exp(x); exp(x) - t."""
    t, e = t.astype(x.dtype), np.exp(x)
    logs = np.log(t, out=np.zeros_like(t), where=t > 0)
    return (t * (logs - x) - t + e).sum(axis=1), e - t


def _same(x: Array) -> Array:
    return x


LOSSES: dict[str, Loss] = {
    "multiclass": Loss("softmax", ops.softmax, _cross_entropy, "cross_entropy", of_labels=True),
    "logistic": Loss("logistic", ops.sigmoid, _logistic),
    "squared_error": Loss("identity", _same, _squared_error, "mean_squared_error", mean=True),
    "poisson": Loss("exp", np.exp, _poisson),
}
