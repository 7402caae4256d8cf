"""``cs231n.classifiers.linear_svm``: the multiclass SVM loss of a linear classifier."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.dropin.cs231n.classifiers._linear import loss_of_scores
from fastnn.dropin.cs231n.layers import svm_loss

__all__ = ["np", "svm_loss_naive", "svm_loss_vectorized"]


def svm_loss_naive(W: Any, X: Any, y: Any, reg: Any) -> tuple[Any, Any]:
    """Return what :func:`svm_loss_vectorized` does: there is no reason for loops here."""
    return svm_loss_vectorized(W, X, y, reg)


def svm_loss_vectorized(W: Any, X: Any, y: Any, reg: Any) -> tuple[Any, Any]:
    """Return the loss of the scores X W, plus reg sum(W^2), and its gradient.

    W is (D, C), X (N, D) and y the N labels; the margin is 1.
    """
    return loss_of_scores(svm_loss, W, X, y, reg)
