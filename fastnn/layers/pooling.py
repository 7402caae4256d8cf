"""Pooling of images."""

from __future__ import annotations

import math
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import ops
from fastnn._utils.types import Array
from fastnn.kernels.program import kinds
from fastnn.layers._kept import after_forward
from fastnn.layers.planning import Buffer, Plan, Unsupported
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
        Places of the largest elements of the last training pass, counted along the rows of the
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


def _forward(plan: Plan, name: str, layer: MaxPool, x: Buffer) -> Buffer:
    shape = plan.shapes[name]
    after = layer.output_shape(shape)
    y = plan.buffer(f"{name} output", math.prod(after))
    places_ = plan.kept[name] = plan.buffer(f"{name} places", math.prod(after), itemsize=4)
    plan.add(kinds.MAX_POOL, source=x, target=y, other=places_, **_given(layer, *shape, *after[1:]))
    return y


def _backward(plan: Plan, name: str, layer: MaxPool, d: Buffer, wanted: bool) -> Buffer:
    shape = plan.shapes[name]
    after = layer.output_shape(shape)
    dx = plan.buffer(f"{name} input gradient", math.prod(shape))
    given = _given(layer, *after, *shape[1:])
    plan.add(kinds.MAX_POOL_GRADIENT, source=d, target=dx, other=plan.kept[name], **given)
    return dx


def _given(layer: MaxPool, *lengths: int) -> dict[str, Any]:
    """Return what the kernel is given: lengths, then the numbers of the layer."""
    numbers = window(layer.pool_h, layer.pool_w, layer.stride)
    given = np.array([*lengths, *numbers], np.int64)
    return {"words": given.size, "given": given}


def _shapes(layer: MaxPool, shape: Shape) -> tuple[Shape, dict[str, Shape]]:
    try:
        return layer.output_shape(shape), {}
    except ValueError as error:
        raise Unsupported(str(error)) from None


register(
    Record(
        MaxPool,
        "max-pooling",
        form=("pool_h", "pool_w", "stride"),
        kept=("argmax",),
        left=("_shape",),
        forward=_forward,
        backward=_backward,
        shapes=_shapes,
    )
)
