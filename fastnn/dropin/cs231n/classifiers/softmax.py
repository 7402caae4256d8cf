"""``cs231n.classifiers.softmax``: the softmax loss of a linear classifier."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.dropin.cs231n.classifiers._linear import loss_of_scores
from fastnn.dropin.cs231n.layers import softmax_loss

__all__ = ["np", "softmax_loss_naive", "softmax_loss_vectorized"]


def softmax_loss_naive(W: Any, X: Any, y: Any, reg: Any) -> tuple[Any, Any]:
    """Return what :func:`softmax_loss_vectorized` does: there is no reason for loops here."""
    return softmax_loss_vectorized(W, X, y, reg)


def softmax_loss_vectorized(W: Any, X: Any, y: Any, reg: Any) -> tuple[Any, Any]:
    """Return the cross-entropy of softmax(X W), plus reg sum(W^2), and its gradient.

    W is (D, C), X (N, D) and y the N labels.
    """
    return loss_of_scores(softmax_loss, W, X, y, reg)
