"""Losses of a batch: the mean of one value per row, and dx, its gradient."""

from __future__ import annotations

import numpy as np

from fastnn._utils.types import Array, Labels


def _sum(values: Array) -> float:
    total: float = np.add.reduce(values, dtype=np.promote_types(values.dtype, np.float64))
    return total


def _finish(losses: Array, w: Array | None, loss: Array, dx: Array) -> None:
    """Take the mean of the losses; with weights, sum(w loss) / sum(w)."""
    if w is None:
        loss[0] = _sum(losses) / losses.size
        return
    total = _sum(w) or 1.0
    loss[0] = _sum(losses * w) / total
    dx *= (w * (losses.size / total)).astype(dx.dtype)[:, np.newaxis]


def softmax_cross_entropy(
    x: Array, t: Labels, w: Array | None, smoothing: float, loss: Array, dx: Array
) -> None:
    """loss = the mean of log(sum(exp(x))) - x[t], dx = (softmax(x) - onehot(t)) / N.

    With `smoothing` s, onehot(t) is (1 - s) onehot(t) + s / C.
    """
    rows, share = np.arange(len(x)), smoothing / x.shape[1]
    shifted = x - x.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    losses = np.log(total[:, 0]) - shifted[rows, t]
    np.divide(e, total, out=dx)
    dx[rows, t] -= 1
    if smoothing:
        losses += smoothing * (x[rows, t] - (x / x.shape[1]).sum(axis=1))
        dx[rows, t] += smoothing
        dx -= share
    dx /= len(x)
    _finish(losses, w, loss, dx)


def softmax_cross_entropy_dense(
    x: Array,
    t: Array,
    w: Array | None,
    slack: float,
    smoothing: float,
    loss: Array,
    dx: Array,
) -> None:
    """loss = the mean of sum(-t log softmax(x)), 0 log 0 = 0; dx = (softmax(x) sum(t) - t) / N.

    The sums of t were found to be 1 before, whatever `slack` is. With `smoothing` s, t is
    (1 - s) t + s / C.
    """
    t = (t * (1 - smoothing) + smoothing / x.shape[1]).astype(x.dtype)
    shifted = x - x.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    terms = np.multiply(t, np.log(total) - shifted, out=np.zeros_like(x), where=t != 0)
    dx[...] = (e / total * t.sum(axis=1, keepdims=True) - t) / len(x)
    _finish(terms.sum(axis=1), w, loss, dx)


def mean_squared_error(x: Array, t: Array, w: Array | None, loss: Array, dx: Array) -> None:
    """loss = the mean of sum((x - t)^2) / 2, dx = (x - t) / N."""
    difference = x - t
    np.divide(difference, len(x), out=dx)
    _finish(0.5 * np.sum(difference * difference, axis=1), w, loss, dx)


def binary_cross_entropy(
    x: Array,
    t: Array,
    w: Array | None,
    low: float,
    high: float,
    smoothing: float,
    loss: Array,
    dx: Array,
) -> None:
    """loss = the mean of sum(log(1 + exp(x)) - t x), dx = (1 / (1 + exp(-x)) - t) / N.

    All of t were found to be between `low` and `high` before. With `smoothing` s, t is
    (1 - s) t + s / 2.
    """
    t = t * (1 - smoothing) + smoothing / 2
    terms = (np.maximum(x, 0) - t * x) + np.log1p(np.exp(-np.abs(x)))
    dx[...] = (1 / (1 + np.exp(-x)) - t) / len(x)
    _finish(terms.sum(axis=1), w, loss, dx)


def poisson(x: Array, t: Array, w: Array | None, low: float, loss: Array, dx: Array) -> None:
    """loss = the mean of sum(t log(t) - t x - t + exp(x)), 0 log 0 = 0; dx = (exp(x) - t) / N.

    All of t were found to be `low` at least before.
    """
    e = np.exp(x)
    rest = np.multiply(t, np.log(t) - x, out=np.zeros_like(x), where=t != 0)
    np.divide(e - t, len(x), out=dx)
    _finish((e - t + rest).sum(axis=1), w, loss, dx)


def huber(x: Array, t: Array, w: Array | None, delta: float, loss: Array, dx: Array) -> None:
    """loss = the mean of sum(c (x - t - c / 2)), c = x - t, delta at most, with its sign.

    dx = c / N.
    """
    difference = x - t
    near = np.clip(difference, -delta, delta)
    np.divide(near, len(x), out=dx)
    _finish((near * (difference - near / 2)).sum(axis=1), w, loss, dx)
