"""Activations, dropout and the loss."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from fastnn import reference
from fastnn._bench.case import Arrays, Case, WrongResultError, agree

TITLE = "activations, dropout, softmax with cross-entropy"
NOTES = (
    "bytes counted: each input read, each output written once",
    "dropout returns its mask too; cross-entropy returns the loss and its gradient",
)

RATIO = 0.5
SHAPES = [(128, 100), (256, 1024), (1024, 4096)]
SCORES = [(128, 10), (128, 1000), (4096, 1000)]
QUICK = [(256, 1024), (128, 10)]


def _x(shape: tuple[int, int], dtype: str) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def _one(shape: tuple[int, int], dtype: str) -> tuple[Any, ...]:
    return (_x(shape, dtype),)


def _dropout_inputs(shape: tuple[int, int], dtype: str) -> tuple[Any, ...]:
    return _x(shape, dtype), RATIO


def _scores(shape: tuple[int, int], dtype: str) -> tuple[Any, ...]:
    return _x(shape, dtype), np.random.default_rng(1).integers(shape[1], size=shape[0])


def _elementwise_expected(twin: Any, x: Any) -> Arrays:
    y = np.empty(x.shape)
    twin(x.astype(np.float64), y)
    return [y]


def _dropout_expected(x: Any, ratio: float) -> Arrays:
    return [x / x.dtype.type(1 - ratio)]


def _dropout_agrees(results: Arrays, expected: Arrays) -> None:
    y, mask = results
    agree([y], [np.where(mask, expected[0], 0)])
    off = abs(float(np.mean(mask)) - (1 - RATIO))
    if off > 5 * (RATIO * (1 - RATIO) / mask.size) ** 0.5:
        raise WrongResultError(f"share of kept elements off by {off:.3g}")


def _loss_expected(x: Any, t: Any) -> Arrays:
    loss, dx = np.empty(1), np.empty(x.shape)
    reference.softmax_cross_entropy(x.astype(np.float64), t, None, 0.0, loss, dx)
    return [loss[0], dx]


def cases(dtype: str) -> Iterator[Case]:
    """Yield the cases."""
    itemsize = np.dtype(dtype).itemsize
    for name in ("sigmoid", "tanh", "gelu_tanh", "silu"):
        twin = getattr(reference, name)
        for shape in SHAPES:
            size = int(np.prod(shape)) * itemsize
            yield Case(
                name,
                name,
                str(shape),
                partial(_one, shape, dtype),
                partial(_elementwise_expected, twin),
                traffic=2 * size,
                footprint=2 * size,
                quick=shape in QUICK,
            )
    for shape in SHAPES:
        size = int(np.prod(shape)) * (2 * itemsize + 1)
        yield Case(
            "dropout",
            "dropout",
            str(shape),
            partial(_dropout_inputs, shape, dtype),
            _dropout_expected,
            traffic=size,
            footprint=size,
            check=_dropout_agrees,
            quick=shape in QUICK,
        )
    for shape in SCORES:
        size = int(np.prod(shape)) * itemsize
        yield Case(
            "softmax_cross_entropy",
            "cross-entropy",
            str(shape),
            partial(_scores, shape, dtype),
            _loss_expected,
            traffic=2 * size,
            footprint=2 * size,
            quick=shape in QUICK,
        )
