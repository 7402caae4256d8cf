"""Convolution of images, and max pooling, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from fastnn import reference
from fastnn._bench.case import Arrays, Case

TITLE = "convolution, max pooling"
NOTES = (
    "shapes are images (N, C, H, W), filters and their side; with + images keep their size",
    "operations counted: 2 for each weight and place forward, 4 backward (dx, dW and db)",
    "pooling: forward and backward, windows of 2 x 2; bytes counted: each array once",
)

Shape = tuple[tuple[int, int, int, int], int, int, int]

# Images, filters, their side, padding.
SHAPES: list[Shape] = [
    ((100, 1, 28, 28), 30, 5, 0),
    ((100, 16, 14, 14), 32, 3, 1),
    ((100, 3, 32, 32), 32, 7, 3),
    ((32, 128, 7, 7), 128, 3, 1),
    ((1, 3, 224, 224), 64, 3, 1),
]
QUICK = SHAPES[:2]
POOLED = [(100, 30, 24, 24), (100, 16, 14, 14)]


def _shapes(shape: Shape) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of filters and of the output."""
    (n, c, h, w), f, side, pad = shape
    less = side - 1 - 2 * pad
    return (f, c, side, side), (n, f, h - less, w - less)


def _inputs(shape: Shape, dtype: str, back: bool) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    W, y = _shapes(shape)
    shapes = (y, shape[0], W) if back else (shape[0], W, W[:1])
    return *(rng.standard_normal(s).astype(dtype) for s in shapes), shape[3]


def _forward_expected(*inputs: Any) -> Arrays:
    x, W, b = (a.astype(np.float64) for a in inputs[:3])
    pad = inputs[3]
    h, w = (x.shape[i] + 2 * pad - W.shape[i] + 1 for i in (2, 3))
    y = np.empty((len(x), len(W), h, w))
    reference.convolution(x, W, b, 1, pad, y)
    return [y]


def _backward_expected(*inputs: Any) -> Arrays:
    dout, x, W = (a.astype(np.float64) for a in inputs[:3])
    results = np.empty_like(x), np.empty_like(W), np.empty(len(W))
    reference.convolution_backward(dout, x, W, 1, inputs[3], *results)
    return results


def _pool_inputs(shape: tuple[int, ...], dtype: str) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    pooled = (*shape[:2], shape[2] // 2, shape[3] // 2)
    return tuple(rng.standard_normal(s).astype(dtype) for s in (shape, pooled))


def _pool_expected(x: Any, dout: Any) -> Arrays:
    y, argmax = np.empty(dout.shape), np.empty(dout.shape, np.int32)
    dx = np.empty(x.shape)
    reference.max_pool(x.astype(np.float64), 2, 2, 2, y, argmax)
    reference.max_pool_backward(dout.astype(np.float64), argmax, 2, 2, 2, dx)
    return [y, dx]


def _label(shape: Shape) -> str:
    images, f, side, pad = shape
    return f"{images} {f} {side}x{side}{' +' if pad else ''}"


def cases(dtype: str) -> Iterator[Case]:
    """Yield the cases."""
    for back in (False, True):
        for shape in SHAPES:
            W, y = map(np.prod, _shapes(shape))
            yield Case(
                "convolution_backward" if back else "convolution",
                "backward" if back else "forward",
                _label(shape),
                partial(_inputs, shape, dtype, back),
                _backward_expected if back else _forward_expected,
                flops=2 * (1 + back) * float(y) * float(W) / shape[1],
                quick=shape in QUICK,
            )
    for images in POOLED:
        size = int(np.prod(images)) * 5 // 4 * np.dtype(dtype).itemsize
        yield Case(
            "max_pool",
            "pooling",
            str(images),
            partial(_pool_inputs, images, dtype),
            _pool_expected,
            traffic=2.0 * size,
            footprint=2 * size,
            quick=images == POOLED[0],
        )
