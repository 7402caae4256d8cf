"""``common.functions``: activations and losses as functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn.dropin.dlfs._usual import usual

__all__ = [
    "cross_entropy_error",
    "identity_function",
    "mean_squared_error",
    "np",
    "relu",
    "relu_grad",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "softmax_loss",
    "step_function",
]


def identity_function(x: Any) -> Any:
    """Return x."""
    return x


def step_function(x: Any) -> Any:
    """Return 1 where x is above 0, else 0, as integers."""
    return np.array(x > 0, dtype=int)


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x))."""
    return ops.sigmoid(x) if usual(x) else 1 / (1 + np.exp(-x))


def sigmoid_grad(x: Any) -> Any:
    """Return the derivative of the sigmoid at x."""
    y = sigmoid(x)
    return (1.0 - y) * y


def relu(x: Any) -> Any:
    """Return max(x, 0)."""
    return ops.relu(x) if usual(x) else np.maximum(0, x)


def relu_grad(x: Any) -> Any:
    """Return 1 where x is 0 or above, else 0."""
    grad = np.zeros_like(x)
    grad[x >= 0] = 1
    return grad


def softmax(x: Any) -> Any:
    """Return probabilities from scores: for each row of a matrix, or else for all there is."""
    if x.ndim == 2:
        return _softmax(x, 1)
    powers = np.exp(x - np.max(x))
    return powers / np.sum(powers)


def _softmax(x: Any, axis: int) -> Any:
    if usual(x) and x.ndim == 2 and x.size:
        return ops.softmax(x)
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


def mean_squared_error(y: Any, t: Any) -> Any:
    """Return half the sum of squared differences, over all samples."""
    return 0.5 * np.sum((y - t) ** 2)


def cross_entropy_error(y: Any, t: Any) -> Any:
    """Return the mean of -log(y + 1e-7) at the labels, of which `t` may also be one-hot rows."""
    return cross_entropy(y, t, 1e-7)


def cross_entropy(y: Any, t: Any, delta: Any) -> Any:
    """Return the mean of -log(y + delta) at the labels."""
    if y.ndim == 1:
        y, t = y.reshape(1, y.size), t.reshape(1, t.size)
    if t.size == y.size:
        t = t.argmax(axis=1)
    n = y.shape[0]
    return -np.add.reduce(np.log(y[np.arange(n), t] + delta), axis=None) / n


def softmax_loss(X: Any, t: Any) -> Any:
    """Return the cross-entropy of softmax(X)."""
    return cross_entropy_error(softmax(X), t)
