"""Convolution of images as a product with the matrix of their patches."""

from __future__ import annotations

import numpy as np

from fastnn._utils.types import Array
from fastnn.reference.patches import col2im, im2col


def _patches(x: Array, filter_h: int, filter_w: int, stride: int, pad: int, places: int) -> Array:
    col = np.empty((places, x.shape[1] * filter_h * filter_w), x.dtype)
    im2col(x, filter_h, filter_w, stride, pad, col)
    return col


def convolution(x: Array, W: Array, b: Array, stride: int, pad: int, out: Array) -> None:
    """out = patches of x times W^T, + b; x (N, C, H, W), W (F, C, FH, FW), out (N, F, OH, OW)."""
    f, _, fh, fw = W.shape
    n, _, oh, ow = out.shape
    col = _patches(x, fh, fw, stride, pad, n * oh * ow)
    y = np.dot(col, W.reshape(f, -1).T) + b
    out[...] = y.reshape(n, oh, ow, f).transpose(0, 3, 1, 2)


def convolution_backward(
    dout: Array,
    x: Array,
    W: Array,
    stride: int,
    pad: int,
    dx: Array | None,
    dW: Array,
    db: Array,
) -> None:
    """dW = dout^T patches, db = sums of dout, dx = dout W put back (left out when None)."""
    f, _, fh, fw = W.shape
    rows = dout.transpose(0, 2, 3, 1).reshape(-1, f)
    col = _patches(x, fh, fw, stride, pad, len(rows))
    dW[...] = np.dot(col.T, rows).T.reshape(W.shape)
    np.sum(rows, axis=0, out=db)
    if dx is not None:
        col2im(np.dot(rows, W.reshape(f, -1)), fh, fw, stride, pad, dx)
