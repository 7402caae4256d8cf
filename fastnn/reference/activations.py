"""Activations and softmax; backward passes take the output y, or the input x where that is named.

See :mod:`fastnn.ops.activations` for the sources of formulas.
"""

from __future__ import annotations

import math

import numpy as np

from fastnn._utils.types import Array


def relu(x: Array, out: Array) -> None:
    """out = max(x, 0)."""
    np.maximum(x, 0, out=out)


def relu_backward(dout: Array, y: Array, dx: Array) -> None:
    """dx = dout where y > 0, else 0 (a NaN in y passes dout on)."""
    dx[...] = np.where(y <= 0, 0, dout)


def leaky_relu(x: Array, negative_slope: float, out: Array) -> None:
    """out = x where x > 0, else negative_slope x."""
    out[...] = np.where(x <= 0, negative_slope * x, x)


def leaky_relu_backward(dout: Array, y: Array, negative_slope: float, dx: Array) -> None:
    """dx = dout where y > 0, else negative_slope dout (a NaN in y passes dout on)."""
    dx[...] = np.where(y <= 0, negative_slope * dout, dout)


def elu(x: Array, alpha: float, out: Array) -> None:
    """out = x where x > 0, else alpha (exp(x) - 1)."""
    out[...] = np.where(x <= 0, alpha * np.expm1(x), x)


def elu_backward(dout: Array, y: Array, alpha: float, dx: Array) -> None:
    """dx = dout where y > 0, else dout (y + alpha) (a NaN in y passes dout on)."""
    dx[...] = np.where(y <= 0, dout * (y + alpha), dout)


def gelu(x: Array, out: Array) -> None:
    """out = x P(x), P being the normal distribution function."""
    out[...] = x * _normal(x)


def gelu_backward(dout: Array, x: Array, dx: Array) -> None:
    """dx = dout (P(x) + x P'(x)), P'(x) = exp(-x^2 / 2) / sqrt(2 pi)."""
    dx[...] = dout * (_normal(x) + x * (np.exp(-x * x / 2) / math.sqrt(2 * math.pi)))


def gelu_tanh(x: Array, out: Array) -> None:
    """out = x (1 + tanh(u)) / 2 = x / (1 + exp(-2 u)), u = sqrt(2 / pi) (x + 0.044715 x^3)."""
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
    out[...] = x / (1 + np.exp(-2 * u))


def gelu_tanh_backward(dout: Array, x: Array, dx: Array) -> None:
    """dx = dout (s + 2 x s (1 - s) du/dx), s = 1 / (1 + exp(-2 u)).

    Where |x| is above 100, s is 0 or 1, and (1 - s) is zero however steep u is.
    """
    near = np.clip(x, -100, 100)
    u = math.sqrt(2 / math.pi) * (near + 0.044715 * (near * near * near))
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * (near * near))
    s, rest = 1 / (1 + np.exp(-2 * u)), 1 / (1 + np.exp(2 * u))
    dx[...] = dout * (s + 2 * (x * (s * rest) * slope))


def silu(x: Array, out: Array) -> None:
    """out = x / (1 + exp(-x))."""
    out[...] = x / (1 + np.exp(-x))


def silu_backward(dout: Array, x: Array, dx: Array) -> None:
    """dx = dout s (1 + x (1 - s)), s = 1 / (1 + exp(-x))."""
    s, rest = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(x))
    dx[...] = dout * (s * (1 + x * rest))


def softplus(x: Array, out: Array) -> None:
    """out = log(1 + exp(x))."""
    np.logaddexp(x, 0, out=out)


def softplus_backward(dout: Array, y: Array, dx: Array) -> None:
    """dx = dout (1 - exp(-y)), which is dout / (1 + exp(-x))."""
    dx[...] = dout * -np.expm1(-y)


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


# NumPy has no error function. Python's keeps the digits of small probabilities, too.
_erfc = np.vectorize(math.erfc, otypes=[float])


def _normal(x: Array) -> Array:
    return (_erfc(-x * math.sqrt(0.5)) / 2).astype(x.dtype)  # type: ignore[no-any-return]
