"""Samples as rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils.reprs import of_settings
from fastnn._utils.types import Array
from fastnn.layers._kept import after_forward
from fastnn.layers.record import Record, register
from fastnn.layers.sizes import Shape


class Flatten:
    """Each sample as a row, (N, C, H, W) to (N, C * H * W).

    Affine layers do that by themselves: this one is for what else takes rows, and to have the
    layers of another library one for one.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] | None = None

    def __repr__(self) -> str:
        return of_settings(self)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the output for a sample."""
        return (math.prod(shape),)

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return samples as rows: a view, where that can be."""
        x = np.asarray(x)
        if x.ndim < 2:
            raise ValueError(f"x: expected shape (N, ...), one row a sample, got {x.shape}")
        if train_flg:
            self._shape = x.shape
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))

    def backward(self, dout: ArrayLike) -> Array:
        """Return dout in the input's shape."""
        shape: tuple[int, ...] = after_forward(self, self._shape)
        return np.asarray(dout).reshape(shape)


# No step at all: programs have samples as rows.
register(
    Record(
        Flatten,
        "flatten",
        kept=("_shape",),
        smooth=True,
        forward=lambda plan, name, layer, x: x,
        backward=lambda plan, name, layer, d, wanted: d,
        shapes=lambda layer, shape: ((math.prod(shape),), {}),
    )
)
