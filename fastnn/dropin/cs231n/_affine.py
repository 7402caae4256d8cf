"""Affine layers, alone and with ReLU."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn.dropin.cs231n._fast import fast


def affine_forward(x: Any, w: Any, b: Any) -> tuple[Any, Any]:
    """Return x w + b and the cache (x, w, b), for x (N, ...), w (D, M) and b (M,).

    Each x[i] is taken as a row of D numbers.
    """
    rows = x.reshape(x.shape[0], -1)
    out = ops.affine(rows, w, b) if _is_affine(rows, w, b) else rows.dot(w) + b
    return out, (x, w, b)


def affine_relu_forward(x: Any, w: Any, b: Any) -> tuple[Any, Any]:
    """Return max(0, x w + b) and the cache, a pair: of the affine layer and of the ReLU."""
    rows = x.reshape(x.shape[0], -1)
    if _is_affine(rows, w, b):
        out = ops.affine_relu(rows, w, b)
        return out, ((x, w, b), out)  # the output is above 0 where the ReLU's input is
    a = rows.dot(w) + b
    return np.maximum(0, a), ((x, w, b), a)


def _is_affine(rows: Any, w: Any, b: Any) -> bool:
    return (
        fast(rows, w, b) and w.ndim == 2 and rows.shape[1] == w.shape[0] and b.shape == w.shape[1:]
    )


def affine_backward(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
    """Return dx, dw, db for the cache of :func:`affine_forward`."""
    return affine_gradients(dout, cache)


def affine_relu_backward(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
    """Return dx, dw, db for the cache of :func:`affine_relu_forward`."""
    return affine_relu_gradients(dout, cache)


def affine_gradients(dout: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, Any, Any]:
    """Return what :func:`affine_backward` does, with None for dx where it is not asked for."""
    x, w, _ = cache
    rows = x.reshape(x.shape[0], -1)
    if _is_gradient(dout, rows, w):
        dx, dw, db = ops.affine_backward(dout, rows, w, input_gradient=input_gradient)
        return None if dx is None else dx.reshape(x.shape), dw, db
    dx = dout.dot(w.T).reshape(x.shape) if input_gradient else None
    return dx, rows.T.dot(dout), np.sum(dout, axis=0)


def affine_relu_gradients(
    dout: Any, cache: Any, input_gradient: bool = True
) -> tuple[Any, Any, Any]:
    """Return what :func:`affine_relu_backward` does, with None for dx if it is not asked for."""
    (x, w, b), y = cache
    rows = x.reshape(x.shape[0], -1)
    if _is_gradient(dout, rows, w) and fast(dout, y) and dout.shape == y.shape:
        dx, dw, db = ops.affine_relu_backward(dout, rows, w, y, input_gradient=input_gradient)
        return None if dx is None else dx.reshape(x.shape), dw, db
    return affine_gradients(dout * (y > 0), (x, w, b), input_gradient)


def _is_gradient(dout: Any, rows: Any, w: Any) -> bool:
    return (
        fast(dout, rows, w)
        and w.ndim == 2
        and rows.shape[1] == w.shape[0]
        and dout.shape == (rows.shape[0], w.shape[1])
    )
