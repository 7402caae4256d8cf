"""Losses of the estimators: one entry each, with all that depends on which one it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastnn import ops
from fastnn._utils.types import Array, Float64s
from fastnn.networks import building


@dataclass(frozen=True)
class Loss:
    """A loss, and the output activation that belongs to it.

    Attributes
    ----------
    out_activation : str
        Its name in scikit-learn.
    activate : function
        Returns what the estimator predicts, from scores.
    known : str
        What :class:`fastnn.Network` calls it.
    of_labels : bool
        Whether targets are numbers of classes, shape (N,), not rows (N, C).
    mean : bool
        Whether scikit-learn reports its mean over outputs, though it descends on the sum.
    """

    out_activation: str
    activate: Callable[[Array], Array]
    known: str
    of_labels: bool = False
    mean: bool = False

    def value(self, scores: Array, t: Array, weights: Float64s | None) -> float:
        """Return the mean over samples, weighted if asked for, as the estimator reports it."""
        loss: float = building.last_layer(self.known).forward(scores, t, weights)
        return loss * self.reported(scores.shape[1])

    def reported(self, outputs: int) -> float:
        """Return the factor from what is descended on to what is reported."""
        return 1 / outputs if self.mean else 1.0


def _same(x: Array) -> Array:
    return x


LOSSES: dict[str, Loss] = {
    "multiclass": Loss("softmax", ops.softmax, "cross_entropy", of_labels=True),
    "logistic": Loss("logistic", ops.sigmoid, "binary_cross_entropy"),
    "squared_error": Loss("identity", _same, "mean_squared_error", mean=True),
    "poisson": Loss("exp", np.exp, "poisson"),
}
