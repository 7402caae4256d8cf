"""Patches of images (N, C, H, W), one a row, and their way back."""

from __future__ import annotations

from fastnn._utils.types import Array
from fastnn.reference._windows import add_windows, windows


def im2col(x: Array, filter_h: int, filter_w: int, stride: int, pad: int, out: Array) -> None:
    """out = a row (c, i, j) for each place (n, oh, ow) of a filter; zero in the padding."""
    patches = windows(x, filter_h, filter_w, stride, pad)
    out[...] = patches.transpose(0, 2, 3, 1, 4, 5).reshape(out.shape)


def col2im(col: Array, filter_h: int, filter_w: int, stride: int, pad: int, out: Array) -> None:
    """out = for each pixel the sum of its values in all patches, the adjoint of im2col."""
    n, c, h, w = out.shape
    oh = (h + 2 * pad - filter_h) // stride + 1
    ow = (w + 2 * pad - filter_w) // stride + 1
    patches = col.reshape(n, oh, ow, c, filter_h, filter_w).transpose(0, 3, 1, 2, 4, 5)
    add_windows(patches, stride, pad, out)
