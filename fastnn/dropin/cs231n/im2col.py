"""``cs231n.im2col``: windows of images as the columns of a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn.dropin.cs231n._fast import fast

__all__ = ["col2im_indices", "get_im2col_indices", "im2col_indices", "np"]


def get_im2col_indices(
    x_shape: Any, field_height: int, field_width: int, padding: int = 1, stride: int = 1
) -> tuple[Any, Any, Any]:
    """Return the channel, row and column of each element of the matrix in padded images."""
    _, C, H, W = x_shape
    assert (H + 2 * padding - field_height) % stride == 0
    assert (W + 2 * padding - field_height) % stride == 0
    out_height = (H + 2 * padding - field_height) // stride + 1
    out_width = (W + 2 * padding - field_width) // stride + 1
    k, i, j = (a.reshape(-1, 1) for a in np.indices((C, field_height, field_width)))
    down, right = (stride * a.reshape(1, -1) for a in np.indices((out_height, out_width)))
    return k, i + down, j + right


def im2col_indices(
    x: Any, field_height: int, field_width: int, padding: int = 1, stride: int = 1
) -> Any:
    """Return the windows of x (N, C, H, W) as columns, the images of one place side by side."""
    k, i, j = get_im2col_indices(x.shape, field_height, field_width, padding, stride)
    if fast(x):
        cols = ops.im2col(x, field_height, field_width, stride, padding)
        return cols.reshape(len(x), i.shape[1], -1).transpose(2, 1, 0).reshape(len(i), -1)
    p = padding
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    return padded[:, k, i, j].transpose(1, 2, 0).reshape(len(i), -1)


def col2im_indices(
    cols: Any,
    x_shape: Any,
    field_height: int = 3,
    field_width: int = 3,
    padding: int = 1,
    stride: int = 1,
) -> Any:
    """Return images of that shape, where each element is the sum of its copies in the matrix."""
    N, C, H, W = x_shape
    k, i, j = get_im2col_indices(x_shape, field_height, field_width, padding, stride)
    by_image = cols.reshape(len(i), -1, N).transpose(2, 0, 1)
    if fast(cols):
        rows = by_image.transpose(0, 2, 1).reshape(-1, len(i))
        return ops.col2im(rows, (N, C, H, W), field_height, field_width, stride, padding)
    padded: Any = np.zeros((N, C, H + 2 * padding, W + 2 * padding), cols.dtype)
    places: Any = (slice(None), k, i, j)
    np.add.at(padded, places, by_image)
    return padded[:, :, padding : padding + H, padding : padding + W]
