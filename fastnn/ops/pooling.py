"""Max pooling of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn._utils.types import Array
from fastnn.kernels.tuning import COMMON
from fastnn.ops._arrays import array_of, deliver, expect_apart, expect_shape, inputs, output
from fastnn.ops._dispatch import checked, run
from fastnn.ops._memory import empty
from fastnn.ops._windows import (
    expect_images,
    images_shape,
    is_shape_of,
    places,
    plain_places,
    window,
)

Places = NDArray[np.int32]

_I32 = np.dtype(np.int32)

_FEW = 2 * COMMON.grain  # elements from which on a call may be worth several threads

_max_pool, _max_pool_backward = checked("max_pool"), checked("max_pool_backward")
_max_pool_backward_shared = checked("max_pool_backward_shared")


def _step(pool_h: SupportsIndex, pool_w: SupportsIndex, stride: SupportsIndex | None) -> Any:
    """Return the stride of windows, not checked: None if it cannot be told from plain integers."""
    if stride is None and type(pool_h) is int and type(pool_w) is int and pool_h == pool_w:
        return pool_h
    return stride


def _results(x: Any, pool_h: Any, pool_w: Any, stride: Any) -> tuple[Array, Places] | None:
    """Return results of images so few that a call may be done at once, or None."""
    if type(x) is not np.ndarray or x.ndim != 4 or x.size > _FEW:
        return None
    found = plain_places(x.shape, pool_h, pool_w, stride)
    if found is None:
        return None
    shape = (*x.shape[:2], *found)
    return empty(shape, x.dtype), empty(shape, _I32)


def _images(
    dout: Any, input_shape: Any, pool_h: Any, pool_w: Any, stride: Any, dx: Array | None
) -> Array | None:
    """Return an array for a gradient, if that of a call that may be done at once, or None."""
    if dx is not None:
        return dx if type(dx) is np.ndarray and is_shape_of(dx, input_shape) else None
    if type(dout) is not np.ndarray or type(input_shape) is not tuple or len(input_shape) != 4:
        return None
    if {*map(type, input_shape)} != {int} or math.prod(input_shape) > _FEW:
        return None
    found = plain_places(input_shape, pool_h, pool_w, stride)
    if found is None or dout.shape != (*input_shape[:2], *found):
        return None
    return empty(input_shape, dout.dtype)


def max_pool(
    x: ArrayLike,
    pool_h: SupportsIndex,
    pool_w: SupportsIndex,
    stride: SupportsIndex | None = None,
    out: Array | None = None,
    argmax: Places | None = None,
) -> tuple[Array, Places]:
    """Largest element of each window of images.

    There is no padding, and rows and columns that no whole window covers are left out.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W)
        Images.
    pool_h, pool_w : int
        Height and width of the windows.
    stride : int, optional
        Step between windows; that of square windows is their size if not given, so that they
        meet without overlap.
    out : ndarray, shape (N, C, OH, OW), optional
        Where to put the largest elements.
    argmax : ndarray of int32, shape (N, C, OH, OW), optional
        Where to put their places.

    Returns
    -------
    y : ndarray, shape (N, C, OH, OW)
        With OH = (H - pool_h) // stride + 1, and OW likewise; `out` if given.
    argmax : ndarray of int32, shape (N, C, OH, OW)
        i pool_w + j for the first largest element, in row i and column j of its window. NaN
        counts as the largest, as it does for ``numpy.argmax``.

    Raises
    ------
    TypeError, ValueError
        If `x` is not of images of real numbers, the window does not fit in, a number is out of
        its range, or an output does not fit or shares memory with the other.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> y, argmax = ops.max_pool(np.arange(16.0).reshape(1, 1, 4, 4), 2, 2)
    >>> y
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    >>> argmax[0, 0, 0]
    array([3, 3], dtype=int32)
    """
    step = _step(pool_h, pool_w, stride)
    given = (out, argmax) if out is not None or argmax is not None else None
    results = given or _results(x, pool_h, pool_w, step)
    if results is not None:
        done = _max_pool(x, pool_h, pool_w, step, *results)
        if done is not NotImplemented:
            return done
    (x,) = inputs(x=x)
    expect_images("x", x)
    ph, pw, step = window(pool_h, pool_w, stride)
    shape = (*x.shape[:2], *places("x", x.shape, ph, pw, step))
    y = output("out", out, shape, x.dtype, x)
    where = output("argmax", argmax, shape, _I32, x)
    expect_apart({"out": out, "argmax": argmax})
    if y.size:
        run("max_pool", x, ph, pw, step, y, where)
    return deliver(out, y), deliver(argmax, where)


def _places(given: NDArray[Any], shape: tuple[int, ...], limit: int) -> Places:
    """Return the places of largest elements as kernels take them, checked."""
    expect_shape("argmax", given, shape, "like dout")
    if given.dtype.kind not in "iu":
        raise TypeError(f"argmax: expected an integer dtype, got {given.dtype}")
    if given.size:
        low, high = given.min(), given.max()
        if low < 0 or high >= limit:
            wrong = low if low < 0 else high
            raise ValueError(f"argmax: expected places from 0 to {limit - 1}, got {wrong}")
    return np.require(given, _I32, ["C", "A", "W"])


def max_pool_backward(
    dout: ArrayLike,
    argmax: Places,
    input_shape: Sequence[SupportsIndex],
    pool_h: SupportsIndex,
    pool_w: SupportsIndex,
    stride: SupportsIndex | None = None,
    dx: Array | None = None,
) -> Array:
    """Gradient of :func:`max_pool`: dout goes to the first largest element of each window.

    Parameters
    ----------
    dout : array_like, shape (N, C, OH, OW)
        Gradient of the loss with respect to the output.
    argmax : array_like of int, shape (N, C, OH, OW)
        Places of the largest elements, from the forward pass.
    input_shape : sequence of int
        Shape (N, C, H, W) of the input.
    pool_h, pool_w : int
    stride : int, optional
        Those of the forward pass.
    dx : ndarray, shape (N, C, H, W), optional
        Where to put the result.

    Returns
    -------
    ndarray, shape (N, C, H, W)
        `dx` if given. Where windows overlap, the sum.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit together, an array is not of (whole) numbers, a place or a number
        is out of its range, or `dx` does not fit.
    """
    step = _step(pool_h, pool_w, stride)
    at_once = _images(dout, input_shape, pool_h, pool_w, step, dx)
    if at_once is not None:
        done = _max_pool_backward(dout, argmax, pool_h, pool_w, step, at_once)
        if done is not NotImplemented:
            return done
    (dout,) = inputs(dout=dout)
    shape = images_shape("input_shape", input_shape)
    ph, pw, step = window(pool_h, pool_w, stride)
    expected = (*shape[:2], *places("input_shape", shape, ph, pw, step))
    expect_shape("dout", dout, expected, "to match images of shape {}", shape)
    where = _places(array_of("argmax", argmax), expected, ph * pw)
    result = output("dx", dx, shape, dout.dtype, dout, where)
    if result.size:
        run("max_pool_backward", dout, where, ph, pw, step, result)
    return deliver(dx, result)


def max_pool_backward_shared(
    dout: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    pool_h: SupportsIndex,
    pool_w: SupportsIndex,
    stride: SupportsIndex | None = None,
    dx: Array | None = None,
) -> Array:
    """Gradient of :func:`max_pool`, shared equally by all largest elements of a window.

    Where elements are equal no derivative exists; this choice among them treats all alike.

    Parameters
    ----------
    dout : array_like, shape (N, C, OH, OW)
        Gradient of the loss with respect to the output.
    x : array_like, shape (N, C, H, W)
        The input.
    y : array_like, shape (N, C, OH, OW)
        The output.
    pool_h, pool_w : int
    stride : int, optional
        Those of the forward pass.
    dx : ndarray, shape (N, C, H, W), optional
        Where to put the result.

    Returns
    -------
    ndarray, shape (N, C, H, W)
        `dx` if given. Where windows overlap, the sum; NaN in windows whose largest is NaN.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit together, an array is not of real numbers, a number is out of its
        range, or `dx` does not fit.
    """
    step = _step(pool_h, pool_w, stride)
    done = _max_pool_backward_shared(dout, x, y, pool_h, pool_w, step, dx)
    if done is not NotImplemented:
        return done
    dout, x, y = inputs(dout=dout, x=x, y=y)
    expect_images("x", x)
    ph, pw, step = window(pool_h, pool_w, stride)
    shape = (*x.shape[:2], *places("x", x.shape, ph, pw, step))
    expect_shape("dout", dout, shape, "to match x of shape {}", x.shape)
    expect_shape("y", y, shape, "like dout")
    result = output("dx", dx, x.shape, x.dtype, dout, x, y)
    if result.size:
        run("max_pool_backward_shared", dout, x, y, ph, pw, step, result)
    return deliver(dx, result)
