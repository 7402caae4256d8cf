"""``common.util``: curves, shuffling, and patches of images as rows of a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops

__all__ = ["col2im", "conv_output_size", "im2col", "np", "shuffle_dataset", "smooth_curve"]


def smooth_curve(x: Any) -> Any:
    """Return a curve smoothed by a Kaiser window over 11 points."""
    width = 11
    mirrored = np.r_[x[width - 1 : 0 : -1], x, x[-1:-width:-1]]
    window = np.kaiser(width, 2)
    smooth = np.convolve(window / window.sum(), mirrored, mode="valid")
    return smooth[5 : len(smooth) - 5]


def shuffle_dataset(x: Any, t: Any) -> Any:
    """Return samples and targets in one random order, by NumPy's global generator."""
    order = np.random.permutation(x.shape[0])  # noqa: NPY002
    x = x[order, :] if x.ndim == 2 else x[order, :, :, :]
    return x, t[order]


def conv_output_size(input_size: Any, filter_size: Any, stride: Any = 1, pad: Any = 0) -> Any:
    """Return the size of a convolution's output; a float."""
    return (input_size + 2 * pad - filter_size) / stride + 1


def im2col(input_data: Any, filter_h: Any, filter_w: Any, stride: Any = 1, pad: Any = 0) -> Any:
    """Return the patches that a filter sees, one a row, in float64.

    `input_data` has shape (N, C, H, W), the result (N * OH * OW, C * filter_h * filter_w).
    """
    data = np.asarray(input_data, np.float64)
    return ops.im2col(data, filter_h, filter_w, stride, pad)


def col2im(
    col: Any, input_shape: Any, filter_h: Any, filter_w: Any, stride: Any = 1, pad: Any = 0
) -> Any:
    """Return images of `input_shape`, each element the sum of those of the patches, in float64."""
    n, channels, height, width = input_shape
    out_h = (height + 2 * pad - filter_h) // stride + 1
    out_w = (width + 2 * pad - filter_w) // stride + 1
    rows = np.asarray(col, np.float64).reshape(n * out_h * out_w, channels * filter_h * filter_w)
    return ops.col2im(rows, tuple(input_shape), filter_h, filter_w, stride, pad)
