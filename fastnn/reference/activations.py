"""ReLU, sigmoid, tanh and softmax; the backward passes take the forward's output y."""

from __future__ import annotations

import numpy as np

from fastnn._utils.types import Array


def relu(x: Array, out: Array) -> None:
    """out = max(x, 0)."""
    np.maximum(x, 0, out=out)


def relu_backward(dout: Array, y: Array, dx: Array) -> None:
    """dx = dout where y > 0, else 0 (a NaN in y passes dout on)."""
    dx[...] = np.where(y <= 0, 0, dout)


def sigmoid(x: Array, out: Array) -> None:
    """out = 1 / (1 + exp(-x))."""
    out[...] = 1 / (1 + np.exp(-x))


def sigmoid_backward(dout: Array, y: Array, dx: Array) -> None:
    """dx = dout (1 - y) y."""
    dx[...] = dout * (1 - y) * y


def tanh(x: Array, out: Array) -> None:
    """out = tanh(x)."""
    np.tanh(x, out=out)


def tanh_backward(dout: Array, y: Array, dx: Array) -> None:
    """dx = dout (1 - y^2)."""
    dx[...] = dout * (1 - y * y)


def softmax(x: Array, out: Array) -> None:
    """out = exp(x - max) / sum(exp(x - max)), per row."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    out[...] = e / e.sum(axis=1, keepdims=True)
