"""Convolution of images."""

from __future__ import annotations

from typing import SupportsIndex

from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn.ops._arrays import (
    deliver,
    expect_apart,
    expect_ndim,
    expect_shape,
    inputs,
    output,
    unless_left,
)
from fastnn.ops._dispatch import LEFT_OUT, checked, run
from fastnn.ops._windows import expect_images, padding, places, size

_convolution, _convolution_backward = checked("convolution"), checked("convolution_backward")


def _output_shape(x: Array, W: Array, stride: int, pad: int) -> tuple[int, int, int, int]:
    """Return the shape (N, F, OH, OW) of the output, having checked those of the input."""
    expect_images("x", x)
    expect_ndim("W", W, 4, "(F, C, FH, FW)")
    if x.shape[1] != W.shape[1]:
        raise ValueError(
            f"W: expected filters for {x.shape[1]} channels, those of x of shape {x.shape}, "
            f"got shape {W.shape}"
        )
    if 0 in W.shape:
        raise ValueError(f"W: expected at least one filter, channel and pixel, got {W.shape}")
    oh, ow = places("x", x.shape, W.shape[2], W.shape[3], stride, pad)
    return x.shape[0], W.shape[0], oh, ow


def convolution(
    x: ArrayLike,
    W: ArrayLike,
    b: ArrayLike,
    stride: SupportsIndex = 1,
    pad: SupportsIndex = 0,
    out: Array | None = None,
) -> Array:
    """Convolution of images with filters, as networks mean it: filters are not turned round.

    y[n, f, p, q] = b[f] + sum over c, i, j of W[f, c, i, j] x[n, c, p stride + i, q stride + j]
    with x padded by zeros.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W)
        Images.
    W : array_like, shape (F, C, FH, FW)
        Filters.
    b : array_like, shape (F,)
        Bias.
    stride : int
        Step between the places where filters are put.
    pad : int
        Rows and columns of zeros around each image.
    out : ndarray, shape (N, F, OH, OW), optional
        Where to put the result.

    Returns
    -------
    ndarray, shape (N, F, OH, OW)
        With OH = (H + 2 pad - FH) // stride + 1, and OW likewise; `out` if given.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit together, an array is not of real numbers, a number is out of its
        range, or `out` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> x, W = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> ops.convolution(x, W, np.array([0.5]))
    array([[[[ 8.5, 12.5],
             [20.5, 24.5]]]])
    """
    if out is not None:
        done = _convolution(x, W, b, stride, pad, out)
        if done is not NotImplemented:
            return done
    x, W, b = inputs(x=x, W=W, b=b)
    stride, pad = size("stride", stride), padding("pad", pad)
    shape = _output_shape(x, W, stride, pad)
    expect_shape("b", b, W.shape[:1], "to match W of shape {}", W.shape)
    y = output("out", out, shape, x.dtype, x, W, b)
    run("convolution", x, W, b, stride, pad, y)
    return deliver(out, y)


def convolution_backward(
    dout: ArrayLike,
    x: ArrayLike,
    W: ArrayLike,
    stride: SupportsIndex = 1,
    pad: SupportsIndex = 0,
    *,
    dx: Array | None = None,
    dW: Array | None = None,
    db: Array | None = None,
    input_gradient: bool = True,
) -> tuple[Array | None, Array, Array]:
    """Gradients of :func:`convolution`.

    Parameters
    ----------
    dout : array_like, shape (N, F, OH, OW)
        Gradient of the loss with respect to the output.
    x : array_like, shape (N, C, H, W)
        The images.
    W : array_like, shape (F, C, FH, FW)
        The filters.
    stride, pad : int
        Those of the forward pass.
    dx, dW, db : ndarray, shapes (N, C, H, W), (F, C, FH, FW), (F,), optional
        Where to put the results.
    input_gradient : bool
        Whether to compute dx; the first layer of a network does not need it.

    Returns
    -------
    dx : ndarray, shape (N, C, H, W), or None
        None without `input_gradient`.
    dW : ndarray, shape (F, C, FH, FW)
    db : ndarray, shape (F,)

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit together, an array is not of real numbers, a number is out of its
        range, or an output does not fit or shares memory with another.
    """
    if input_gradient or dx is None:
        to_dx = dx if input_gradient else LEFT_OUT
        done = _convolution_backward(dout, x, W, stride, pad, to_dx, dW, db)
        if done is not NotImplemented:
            return done
    dout, x, W = inputs(dout=dout, x=x, W=W)
    stride, pad = size("stride", stride), padding("pad", pad)
    shape = _output_shape(x, W, stride, pad)
    expect_shape("dout", dout, shape, "to match x of shape {} and W of shape {}", x.shape, W.shape)
    read = dout, x, W
    to_dx = unless_left("dx", dx, input_gradient, x.shape, x.dtype, *read)
    to_dW = output("dW", dW, W.shape, x.dtype, *read)
    to_db = output("db", db, W.shape[:1], x.dtype, *read)
    expect_apart({"dx": dx, "dW": dW, "db": db})
    run("convolution_backward", dout, x, W, stride, pad, to_dx, to_dW, to_db)
    first = None if to_dx is None else deliver(dx, to_dx)
    return first, deliver(dW, to_dW), deliver(db, to_db)
