"""Patches of images as the rows of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn.ops._arrays import deliver, expect_shape, inputs, output
from fastnn.ops._dispatch import checked, run
from fastnn.ops._windows import expect_images, images_shape, is_shape_of, padding, places, size

_im2col, _col2im = checked("im2col"), checked("col2im")


def im2col(
    x: ArrayLike,
    filter_h: SupportsIndex,
    filter_w: SupportsIndex,
    stride: SupportsIndex = 1,
    pad: SupportsIndex = 0,
    out: Array | None = None,
) -> Array:
    """Rows of what a filter sees of images, one for each place where it is put.

    A product with the rows is a convolution. :func:`fastnn.ops.convolution` computes it without
    these rows, which take FH FW times as much memory as the images.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W)
        Images.
    filter_h, filter_w : int
        Height FH and width FW of the filter.
    stride : int
        Step between places.
    pad : int
        Rows and columns of zeros around each image.
    out : ndarray, shape (N OH OW, C FH FW), optional
        Where to put the result.

    Returns
    -------
    ndarray, shape (N OH OW, C FH FW)
        With OH = (H + 2 pad - FH) // stride + 1, and OW likewise; `out` if given.

    Raises
    ------
    TypeError, ValueError
        If `x` is not of images of real numbers, the filter does not fit in, a number is out of
        its range, or `out` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.im2col(np.arange(9.0).reshape(1, 1, 3, 3), 2, 2)
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    if out is not None:
        done = _im2col(x, filter_h, filter_w, stride, pad, out)
        if done is not NotImplemented:
            return done
    (x,) = inputs(x=x)
    expect_images("x", x)
    fh, fw = size("filter_h", filter_h), size("filter_w", filter_w)
    stride, pad = size("stride", stride), padding("pad", pad)
    oh, ow = places("x", x.shape, fh, fw, stride, pad)
    shape = (x.shape[0] * oh * ow, x.shape[1] * fh * fw)
    col = output("out", out, shape, x.dtype, x)
    if col.size:
        run("im2col", x, fh, fw, stride, pad, col)
    return deliver(out, col)


def col2im(
    col: ArrayLike,
    input_shape: Sequence[SupportsIndex],
    filter_h: SupportsIndex,
    filter_w: SupportsIndex,
    stride: SupportsIndex = 1,
    pad: SupportsIndex = 0,
    out: Array | None = None,
) -> Array:
    """Images whose pixels are the sums of their values in all patches: the adjoint of im2col.

    Parameters
    ----------
    col : array_like, shape (N OH OW, C FH FW)
        Patches, as :func:`im2col` returns them.
    input_shape : sequence of int
        Shape (N, C, H, W) of the images.
    filter_h, filter_w : int
        Height FH and width FW of the filter.
    stride : int
        Step between places.
    pad : int
        Rows and columns of padding around each image; what patches hold there is dropped.
    out : ndarray, shape (N, C, H, W), optional
        Where to put the result.

    Returns
    -------
    ndarray, shape (N, C, H, W)
        `out` if given.

    Raises
    ------
    TypeError, ValueError
        If `col` is not of real numbers or of another shape than these images have patches, a
        number is out of its range, or `out` does not fit.
    """
    if type(out) is np.ndarray and is_shape_of(out, input_shape):
        done = _col2im(col, filter_h, filter_w, stride, pad, out)
        if done is not NotImplemented:
            return done
    (col,) = inputs(col=col)
    shape = images_shape("input_shape", input_shape)
    fh, fw = size("filter_h", filter_h), size("filter_w", filter_w)
    stride, pad = size("stride", stride), padding("pad", pad)
    oh, ow = places("input_shape", shape, fh, fw, stride, pad)
    expected = (shape[0] * oh * ow, shape[1] * fh * fw)
    expect_shape("col", col, expected, "to match images of shape {}", shape)
    images = output("out", out, shape, col.dtype, col)
    if images.size:
        run("col2im", col, fh, fw, stride, pad, images)
    return deliver(out, images)
