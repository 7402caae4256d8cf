"""Affine layers with ReLU, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from fastnn import reference
from fastnn._bench.case import Arrays, Case

TITLE = "affine + ReLU"
NOTES = (
    "shapes are (N, D, H): samples, inputs, units; backward returns dx, dW and db",
    "operations counted: 2 N D H forward, 4 N D H backward",
)

QUICK = [(128, 100, 100), (128, 784, 100), (1, 784, 100), (512, 512, 512)]
SHAPES = [
    (32, 100, 100), (128, 100, 100), (100, 784, 50),
    (128, 784, 100), (256, 784, 256), (37, 129, 67), (1, 784, 100),
    (256, 1024, 1024), (1024, 1024, 1024), (2048, 2048, 2048), (10_000, 784, 100),
    *((n, n, n) for n in (16, 32, 64, 100, 128, 200, 256, 512)),
    *((n, 512, 512) for n in (1, 2, 4, 8, 16)),
]  # fmt: skip


def _forward_inputs(shape: tuple[int, int, int], dtype: str) -> tuple[Any, ...]:
    """Return x, W and b of a shape (N, D, H)."""
    n, d, h = shape
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal(s).astype(dtype) for s in ((n, d), (d, h), (h,)))


def _backward_inputs(shape: tuple[int, int, int], dtype: str) -> tuple[Any, ...]:
    x, W, b = _forward_inputs(shape, dtype)
    y = np.maximum(x @ W + b, 0)
    dout = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
    return dout, x, W, y


def _forward_expected(*inputs: Any) -> Arrays:
    """Return the layer's output, by the reference in float64."""
    x, W, b = (a.astype(np.float64) for a in inputs)
    y = np.empty((len(x), b.size))
    reference.affine_relu(x, W, b, y)
    return [y]


def _backward_expected(*inputs: Any) -> Arrays:
    dout, x, W, y = (a.astype(np.float64) for a in inputs)
    results = np.empty_like(x), np.empty_like(W), np.empty(W.shape[1])
    reference.affine_relu_backward(dout, x, W, y, *results)
    return results


def forward_case(shape: tuple[int, int, int], dtype: str, quick: bool, **others: Any) -> Case:
    """Return the case of a forward pass; `others` are those of :class:`Case`."""
    return Case(
        "affine_relu",
        "forward",
        str(shape),
        partial(_forward_inputs, shape, dtype),
        _forward_expected,
        flops=2 * float(np.prod(shape)),
        quick=quick,
        **others,
    )


def cases(dtype: str) -> Iterator[Case]:
    """Yield the cases."""
    for shape in SHAPES:
        yield forward_case(shape, dtype, shape in QUICK)
    for shape in SHAPES:
        yield Case(
            "affine_relu_backward",
            "backward",
            str(shape),
            partial(_backward_inputs, shape, dtype),
            _backward_expected,
            flops=4 * float(np.prod(shape)),
            quick=shape in QUICK,
        )
