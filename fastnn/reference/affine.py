"""Affine layers, alone and followed by ReLU."""

from __future__ import annotations

import numpy as np

from fastnn._utils.types import Array


def affine(x: Array, W: Array, b: Array, out: Array) -> None:
    """out = x W + b."""
    np.dot(x, W, out=out)
    out += b


def affine_relu(x: Array, W: Array, b: Array, out: Array) -> None:
    """out = max(x W + b, 0)."""
    np.maximum(np.dot(x, W) + b, 0, out=out)


def affine_backward(
    dout: Array, x: Array, W: Array, dx: Array | None, dW: Array, db: Array
) -> None:
    """dx = dout W^T (left out when None), dW = x^T dout, db = column sums of dout."""
    np.dot(x.T, dout, out=dW)
    np.sum(dout, axis=0, out=db)
    if dx is not None:
        np.dot(dout, W.T, out=dx)


def affine_relu_backward(
    dout: Array, x: Array, W: Array, y: Array, dx: Array | None, dW: Array, db: Array
) -> None:
    """As :func:`affine_backward` of dout where y > 0, else 0."""
    affine_backward(np.where(y <= 0, dout.dtype.type(0), dout), x, W, dx, dW, db)
