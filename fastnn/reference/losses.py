"""Losses of a batch: one value per row, and dx, the gradient of their mean."""

from __future__ import annotations

import numpy as np

from fastnn._utils.types import Array, Labels


def softmax_cross_entropy(x: Array, t: Labels, losses: Array, dx: Array) -> None:
    """losses = log(sum(exp(x))) - x[t], dx = (softmax(x) - onehot(t)) / N."""
    rows = np.arange(len(x))
    shifted = x - x.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    losses[...] = np.log(total[:, 0]) - shifted[rows, t]
    np.divide(e, total, out=dx)
    dx[rows, t] -= 1
    dx /= len(x)


def softmax_cross_entropy_dense(x: Array, t: Array, losses: Array, dx: Array) -> None:
    """losses = sum(-t log softmax(x)), with 0 log 0 = 0; dx = (softmax(x) sum(t) - t) / N."""
    shifted = x - x.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    losses[...] = np.multiply(t, np.log(total) - shifted, out=np.zeros_like(x), where=t != 0).sum(
        axis=1
    )
    dx[...] = (e / total * t.sum(axis=1, keepdims=True) - t) / len(x)


def mean_squared_error(x: Array, t: Array, losses: Array, dx: Array) -> None:
    """losses = sum((x - t)^2) / 2, dx = (x - t) / N."""
    difference = x - t
    losses[...] = 0.5 * np.sum(difference * difference, axis=1)
    np.divide(difference, len(x), out=dx)
