"""Layers for images: convolution and max pooling."""

from __future__ import annotations

from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import ops
from fastnn._kept import after_forward
from fastnn._types import Array


class Convolution:
    """Convolution of images (N, C, H, W) with filters, and a bias.

    Parameters
    ----------
    W : ndarray, shape (F, C, FH, FW)
        Filters; kept, not copied, so that an update in place is seen.
    b : ndarray, shape (F,)
        Bias; kept, not copied.
    stride : int
        Step between the places where filters are put.
    pad : int
        Rows and columns of zeros around each image.

    Attributes
    ----------
    x : ndarray, shape (N, C, H, W), or None
        The last input.
    dW, db : ndarray or None
        Gradients of the last backward pass.
    input_gradient : bool
        True at first. False saves the gradient with respect to the input, which the first
        layer of a network has no use for; backward then returns None.
    """

    def __init__(
        self, W: Array, b: Array, stride: SupportsIndex = 1, pad: SupportsIndex = 0
    ) -> None:
        self.W = W
        self.b = b
        self.stride = stride
        self.pad = pad
        self.x: ArrayLike | None = None
        self.dW: Array | None = None
        self.db: Array | None = None
        self.input_gradient = True

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return the images of what the filters find, shape (N, F, OH, OW)."""
        y = ops.convolution(x, self.W, self.b, self.stride, self.pad)
        self.x = x
        return y

    def backward(self, dout: ArrayLike) -> Array | None:
        """Return the gradient with respect to the input; leave those of filters and bias."""
        dx, self.dW, self.db = ops.convolution_backward(
            dout, after_forward(self, self.x), self.W, self.stride, self.pad,
            input_gradient=self.input_gradient,
        )  # fmt: skip
        return dx


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

    def __init__(
        self, pool_h: SupportsIndex, pool_w: SupportsIndex, stride: SupportsIndex | None = None
    ) -> None:
        self.pool_h = pool_h
        self.pool_w = pool_w
        self.stride = stride
        self.argmax: NDArray[np.int32] | None = None
        self._shape: tuple[int, ...] = ()

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return the largest elements, shape (N, C, OH, OW)."""
        y, self.argmax = ops.max_pool(x, self.pool_h, self.pool_w, self.stride)
        self._shape = np.shape(x)
        return y

    def backward(self, dout: ArrayLike) -> Array:
        """Return the gradient with respect to the input; where windows overlap, the sum."""
        return ops.max_pool_backward(
            dout, after_forward(self, self.argmax), self._shape, self.pool_h, self.pool_w,
            self.stride,
        )  # fmt: skip
