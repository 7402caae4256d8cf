"""Losses of scores against labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn.dropin.cs231n._fast import fast


def svm_loss(x: Any, y: Any) -> tuple[Any, Any]:
    """Return the multiclass SVM loss of scores, and its gradient with respect to them.

    `x` has shape (N, C), and `y` the N labels: the mean over samples i of the sum over the other
    classes j of max(0, x[i, j] - x[i, y[i]] + 1).
    """
    rows = np.arange(x.shape[0])
    margins = np.maximum(0, x - x[rows, y][:, np.newaxis] + 1.0)
    margins[rows, y] = 0
    loss = np.sum(margins) / x.shape[0]
    dx = np.zeros_like(x)
    dx[margins > 0] = 1
    dx[rows, y] -= np.sum(margins > 0, axis=1)
    dx /= x.shape[0]
    return loss, dx


def softmax_loss(x: Any, y: Any) -> tuple[Any, Any]:
    """Return the cross-entropy of softmax(x), and its gradient with respect to the scores x.

    `x` has shape (N, C), and `y` the N labels: the mean over samples i of
    log(sum over j of exp(x[i, j])) - x[i, y[i]].
    """
    if fast(x) and x.ndim == 2 and x.size and _are_labels(y, *x.shape):
        loss, dx = ops.softmax_cross_entropy(x, y)
        return x.dtype.type(loss), dx
    rows = np.arange(x.shape[0])
    shifted = x - np.max(x, axis=1, keepdims=True)
    log_probs = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    loss = -np.sum(log_probs[rows, y]) / x.shape[0]
    dx = np.exp(log_probs)
    dx[rows, y] -= 1
    dx /= x.shape[0]
    return loss, dx


def _are_labels(y: Any, n: int, classes: int) -> bool:
    """Say whether these are n labels; a negative one counts from the end, as indices do."""
    return (
        type(y) is np.ndarray
        and y.shape == (n,)
        and y.dtype.kind in "iu"
        and y.min() >= 0
        and y.max() < classes
    )
