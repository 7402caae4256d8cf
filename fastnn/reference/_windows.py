"""Windows of images: the pixels under a filter, at each place where it is put."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fastnn._utils.types import Array


def windows(x: Array, height: int, width: int, stride: int, pad: int = 0) -> Array:
    """Return the windows of images (N, C, H, W) as (N, C, OH, OW, height, width)."""
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    return sliding_window_view(padded, (height, width), (2, 3))[:, :, ::stride, ::stride]


def add_windows(patches: Array, stride: int, pad: int, out: Array) -> None:
    """Write to out the sums of what windows, as :func:`windows` returns them, hold of a pixel."""
    n, c, h, w = out.shape
    rows, columns, height, width = patches.shape[2:]
    padded = np.zeros((n, c, h + 2 * pad, w + 2 * pad), out.dtype)
    for i in range(height):
        for j in range(width):
            bottom, right = i + stride * rows, j + stride * columns
            padded[:, :, i:bottom:stride, j:right:stride] += patches[..., i, j]
    out[...] = padded[:, :, pad : pad + h, pad : pad + w]
