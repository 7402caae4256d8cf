"""Batch normalisation, forward and backward in one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from fastnn import reference
from fastnn._bench.case import Arrays, Case
from fastnn._bench.problems import EPS

TITLE = "batch normalisation, forward + backward"
NOTES = (
    "bytes counted: 8 passes over arrays of this shape, 3 forward (x for its statistics, x, y)",
    "and 5 backward (dout and x for their sums, dout, x, dx)",
)

QUICK = [(128, 100), (256, 1024), (64, 32, 28, 28)]
SHAPES = [(32, 100), (128, 100), (256, 1024), (1024, 4096), (8192, 1024), (64, 32, 28, 28)]
PASSES, ARRAYS = 8, 4


def _inputs(shape: tuple[int, ...], dtype: str) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    shapes = shape, shape[1], shape[1], shape
    return tuple(rng.standard_normal(s).astype(dtype) for s in shapes)


def _expected(*inputs: Any) -> Arrays:
    x, gamma, beta, dout = (a.astype(np.float64) for a in inputs)
    images = x.ndim > 2
    forward = reference.batchnorm_nchw if images else reference.batchnorm
    backward = reference.batchnorm_nchw_backward if images else reference.batchnorm_backward
    planes = (*x.shape[:2], -1) if images else x.shape
    flat_x, flat_dout = x.reshape(planes), dout.reshape(planes)
    y, dx = np.empty_like(flat_x), np.empty_like(flat_x)
    mean, rstd, running_mean, running_var, dgamma, dbeta = np.zeros((6, gamma.size))
    forward(flat_x, gamma, beta, running_mean, running_var, 0.9, EPS, -np.inf, y, mean, rstd)
    backward(flat_dout, flat_x, gamma, mean, rstd, None, dx, dgamma, dbeta)
    return [y.reshape(x.shape), dx.reshape(x.shape), dgamma, dbeta]


def cases(dtype: str) -> Iterator[Case]:
    """Yield the cases."""
    for shape in SHAPES:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        yield Case(
            "batchnorm",
            "forward + backward",
            str(shape),
            partial(_inputs, shape, dtype),
            _expected,
            traffic=PASSES * size,
            footprint=ARRAYS * size,
            quick=shape in QUICK,
        )
