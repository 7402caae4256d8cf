"""Losses of a batch: the mean of one value per row, and dx, its gradient."""

from __future__ import annotations

import numpy as np

from fastnn._utils.types import Array, Labels


def _mean(losses: Array) -> float:
    total: float = np.add.reduce(losses, dtype=np.promote_types(losses.dtype, np.float64))
    return total / losses.size


def softmax_cross_entropy(x: Array, t: Labels, loss: Array, dx: Array) -> None:
    """loss = the mean of log(sum(exp(x))) - x[t], dx = (softmax(x) - onehot(t)) / N."""
    rows = np.arange(len(x))
    shifted = x - x.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    loss[0] = _mean(np.log(total[:, 0]) - shifted[rows, t])
    np.divide(e, total, out=dx)
    dx[rows, t] -= 1
    dx /= len(x)


def softmax_cross_entropy_dense(x: Array, t: Array, slack: float, loss: Array, dx: Array) -> None:
    """loss = the mean of sum(-t log softmax(x)), 0 log 0 = 0; dx = (softmax(x) sum(t) - t) / N.

    The sums of t were found to be 1 before, whatever `slack` is.
    """
    shifted = x - x.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    terms = np.multiply(t, np.log(total) - shifted, out=np.zeros_like(x), where=t != 0)
    loss[0] = _mean(terms.sum(axis=1))
    dx[...] = (e / total * t.sum(axis=1, keepdims=True) - t) / len(x)


def mean_squared_error(x: Array, t: Array, loss: Array, dx: Array) -> None:
    """loss = the mean of sum((x - t)^2) / 2, dx = (x - t) / N."""
    difference = x - t
    loss[0] = _mean(0.5 * np.sum(difference * difference, axis=1))
    np.divide(difference, len(x), out=dx)
