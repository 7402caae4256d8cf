"""Pooling of images."""

from __future__ import annotations

from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import ops
from fastnn._utils.types import Array
from fastnn.layers._kept import after_forward
from fastnn.layers.record import Record, register
from fastnn.layers.settings import Setting
from fastnn.layers.sizes import Shape
from fastnn.ops._windows import places, size, window


class MaxPool:
    """Largest element of each window of images (N, C, H, W).

    There is no padding, and rows and columns that no whole window covers are left out.

    Parameters
    ----------
    pool_h, pool_w : int
        Height and width of the windows.
    stride : int, optional
        Step between windows; that of square windows is their size if not given, so that they
        meet without overlap.

    Attributes
    ----------
    argmax : ndarray of int32, shape (N, C, OH, OW), or None
        Places of the largest elements of the last forward pass, counted along the rows of the
        window. The gradient goes to these alone: of equal ones, to the first.
    """

    pool_h = Setting(size)
    pool_w = Setting(size)
    stride = Setting(lambda name, value: None if value is None else size(name, value))

    def __init__(
        self, pool_h: SupportsIndex, pool_w: SupportsIndex, stride: SupportsIndex | None = None
    ) -> None:
        self.pool_h = pool_h
        self.pool_w = pool_w
        self.stride = stride
        self.argmax: NDArray[np.int32] | None = None
        self._shape: tuple[int, ...] = ()

    def __repr__(self) -> str:
        """Return what it is: kind, size of windows, stride."""
        stride = "" if self.stride is None else f", stride={self.stride}"
        return f"{type(self).__name__}({self.pool_h}, {self.pool_w}{stride})"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the output for an image of a shape; raise if it does not fit."""
        if len(shape) != 3:
            raise ValueError(f"expected images of shape (C, H, W), got shape {shape}")
        height, width, stride = window(self.pool_h, self.pool_w, self.stride)
        return (shape[0], *places("input", (1, *shape), height, width, stride))

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return the largest elements, shape (N, C, OH, OW)."""
        y, argmax = ops.max_pool(x, self.pool_h, self.pool_w, self.stride)
        if train_flg:
            self.argmax, self._shape = argmax, np.shape(x)
        return y

    def backward(self, dout: ArrayLike) -> Array:
        """Return the gradient with respect to the input; where windows overlap, the sum."""
        return ops.max_pool_backward(
            dout, after_forward(self, self.argmax), self._shape, self.pool_h, self.pool_w,
            self.stride,
        )  # fmt: skip


register(
    Record(
        MaxPool,
        "max-pooling",
        form=("pool_h", "pool_w", "stride"),
        kept=("argmax",),
        left=("_shape",),
    )
)
