"""Convolution and pooling as in ``common.layers``."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.dropin.dlfs._computed import Computed
from fastnn.dropin.dlfs.util import col2im, im2col

__all__ = ["Convolution", "Pooling"]

# Whatever the images are, results are float64, as in the book, whose columns are.
_REAL = np.float64


class Convolution(Computed):
    """Convolution of images (N, C, H, W) with filters (F, C, FH, FW).

    Attributes
    ----------
    W, b, stride, pad
        As given.
    x : ndarray or None
        The last input.
    col, col_W : ndarray or None
        Its patches, one a row, and the filters, one a column.
    dW, db : ndarray or None
        Gradients of the last backward pass.
    """

    _data: Any = None  # the last input, in float64. The book's layers, pickled, have none

    def __init__(self, W: Any, b: Any, stride: Any = 1, pad: Any = 0) -> None:
        self.W = W
        self.b = b
        self.stride = stride
        self.pad = pad
        self.x: Any = None
        self.col: Any = None
        self.col_W: Any = None
        self.dW: Any = None
        self.db: Any = None

    def forward(self, x: Any) -> Any:
        """Return the filters' responses, shape (N, F, OH, OW)."""
        self.x = x
        data = self._data = np.array(x, _REAL)  # scripts may change theirs
        height, width = self.W.shape[2:]
        self._compute_later(col=partial(im2col, data, height, width, self.stride, self.pad))
        self.col_W = self.W.reshape(len(self.W), -1).T
        b = np.broadcast_to(np.asarray(self.b, _REAL), (1, len(self.W)))[0]
        return ops.convolution(data, np.asarray(self.W, _REAL), b, self.stride, self.pad)

    def backward(self, dout: Any) -> Any:
        """Return the gradient with respect to the input; leave those of filters and biases."""
        if dout.dtype != _REAL:  # the products are then not all of float64
            return self._backward_by_formula(dout)
        data = np.asarray(self.x, _REAL) if self._data is None else self._data
        dx, self.dW, self.db = ops.convolution_backward(
            dout, data, np.asarray(self.W, _REAL), self.stride, self.pad
        )
        return dx

    def _backward_by_formula(self, dout: Any) -> Any:
        filters, channels, height, width = self.W.shape
        rows = dout.transpose(0, 2, 3, 1).reshape(-1, filters)
        self.db = np.sum(rows, axis=0)
        self.dW = np.dot(rows.T, self.col).reshape(filters, channels, height, width)
        columns = np.dot(rows, self.col_W.T)
        return col2im(columns, self.x.shape, height, width, self.stride, self.pad)


class Pooling(Computed):
    """The largest element of each window of images (N, C, H, W).

    Attributes
    ----------
    pool_h, pool_w, stride, pad
        As given.
    x : ndarray or None
        The last input.
    arg_max : ndarray of int or None
        Where in its window each element of the last output was, in the order (N, OH, OW, C).
    """

    _windows: Any = None  # `arg_max` as a kernel has it. The book's layers, pickled, have none

    def __init__(self, pool_h: Any, pool_w: Any, stride: Any = 2, pad: Any = 0) -> None:
        self.pool_h = pool_h
        self.pool_w = pool_w
        self.stride = stride
        self.pad = pad
        self.x: Any = None
        self.arg_max: Any = None

    def forward(self, x: Any) -> Any:
        """Return the largest elements, shape (N, C, OH, OW)."""
        padded = np.asarray(x, _REAL)
        if self.pad:
            edges = self.pad, self.pad
            padded = np.pad(padded, ((0, 0), (0, 0), edges, edges))
        out, self._windows = ops.max_pool(padded, self.pool_h, self.pool_w, self.stride)
        self.x = x
        self._compute_later(arg_max=partial(_flattened, self._windows))
        height, width = x.shape[2:]
        out_h = int(1 + (height - self.pool_h) / self.stride)
        out_w = int(1 + (width - self.pool_w) / self.stride)
        # The book's output leaves the padding out of account: with it, this fails for most sizes.
        return out.reshape(*x.shape[:2], out_h, out_w) if self.pad else out

    def backward(self, dout: Any) -> Any:
        """Return dout where the largest elements were, else 0."""
        n, channels, height, width = self.x.shape
        pad = self.pad
        dx = ops.max_pool_backward(
            np.asarray(dout, _REAL),
            _unflattened(self.arg_max, dout.shape) if self._windows is None else self._windows,
            (n, channels, height + 2 * pad, width + 2 * pad),
            self.pool_h,
            self.pool_w,
            self.stride,
        )
        return dx[:, :, pad : height + pad, pad : width + pad] if pad else dx


def _flattened(windows: Any) -> Any:
    return windows.transpose(0, 2, 3, 1).reshape(-1).astype(np.int64)


def _unflattened(arg_max: Any, shape: tuple[int, ...]) -> Any:
    n, channels, height, width = shape
    windows = arg_max.reshape(n, height, width, channels).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(windows, np.int32)
