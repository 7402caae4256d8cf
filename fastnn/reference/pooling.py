"""Max pooling of images (N, C, H, W), and two ways back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn._utils.types import Array
from fastnn.reference._windows import add_windows, windows

Places = NDArray[np.int32]


def max_pool(x: Array, pool_h: int, pool_w: int, stride: int, out: Array, argmax: Places) -> None:
    """out = largest element of each window, argmax = its place; NaN is the largest."""
    flat = windows(x, pool_h, pool_w, stride).reshape(*out.shape, pool_h * pool_w)
    argmax[...] = np.argmax(flat, axis=-1)
    out[...] = np.take_along_axis(flat, argmax[..., np.newaxis], axis=-1)[..., 0]


def max_pool_backward(
    dout: Array, argmax: Places, pool_h: int, pool_w: int, stride: int, dx: Array
) -> None:
    """dx = dout at the place of each window's largest element, else 0; sums where they meet."""
    chosen = argmax[..., np.newaxis] == np.arange(pool_h * pool_w)
    patches = np.where(chosen, dout[..., np.newaxis], dout.dtype.type(0))
    add_windows(patches.reshape(*dout.shape, pool_h, pool_w), stride, 0, dx)


def max_pool_backward_shared(
    dout: Array, x: Array, y: Array, pool_h: int, pool_w: int, stride: int, dx: Array
) -> None:
    """As :func:`max_pool_backward`, but all elements equal to the largest, y, share dout.

    Where y is NaN nothing is equal to it, and 0 / 0 gives NaN for the whole window.
    """
    largest = windows(x, pool_h, pool_w, stride) == y[..., np.newaxis, np.newaxis]
    count = largest.sum(axis=(4, 5), keepdims=True).astype(dout.dtype)
    dout = dout[..., np.newaxis, np.newaxis]
    add_windows(np.where(largest, dout, dout.dtype.type(0)) / count, stride, 0, dx)
