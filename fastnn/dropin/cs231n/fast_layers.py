"""``cs231n.fast_layers``: convolution and max pooling.

The course's versions are fast by the way they lay out windows in memory. Here all are the same
kernels; caches have the form of theirs, with None in the place of windows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn.dropin.cs231n import _images, im2col
from fastnn.dropin.cs231n._fast import fast
from fastnn.dropin.cs231n.im2col import *  # noqa: F403 (scripts find these here, too)

__all__ = [
    *im2col.__all__,
    "conv_backward_fast",
    "conv_backward_im2col",
    "conv_backward_strides",
    "conv_forward_fast",
    "conv_forward_im2col",
    "conv_forward_strides",
    "max_pool_backward_fast",
    "max_pool_backward_im2col",
    "max_pool_backward_reshape",
    "max_pool_forward_fast",
    "max_pool_forward_im2col",
    "max_pool_forward_reshape",
]


def conv_forward_strides(x: Any, w: Any, b: Any, conv_param: dict[str, Any]) -> tuple[Any, Any]:
    """Return the convolution of x (N, C, H, W) with w (F, C, HH, WW) plus b (F,), and a cache.

    `conv_param` has stride and pad.
    """
    out = _images.convolve(x, w, b, conv_param["stride"], conv_param["pad"])
    return out, (x, w, b, conv_param, None)


def conv_forward_im2col(x: Any, w: Any, b: Any, conv_param: dict[str, Any]) -> tuple[Any, Any]:
    """Return what :func:`conv_forward_strides` does, if windows reach the images' last pixels."""
    stride, pad = conv_param["stride"], conv_param["pad"]
    assert (x.shape[3] + 2 * pad - w.shape[3]) % stride == 0, "width does not work"
    assert (x.shape[2] + 2 * pad - w.shape[2]) % stride == 0, "height does not work"
    return conv_forward_strides(x, w, b, conv_param)


def conv_backward_strides(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
    """Return dx, dw, db for the cache of a forward function of this module."""
    return conv_gradients(dout, cache)


def conv_backward_im2col(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
    """Return dx, dw, db for the cache of a forward function of this module."""
    return conv_gradients(dout, cache)


def conv_gradients(dout: Any, cache: Any, input_gradient: bool = True) -> tuple[Any, Any, Any]:
    """Return dx, dw, db, with None for dx where it is not asked for."""
    x, w, _, conv_param, _ = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    return _images.convolve_backward(dout, x, w, stride, pad, input_gradient)


conv_forward_fast = conv_forward_strides
conv_backward_fast = conv_backward_strides


def max_pool_forward_fast(x: Any, pool_param: dict[str, Any]) -> tuple[Any, Any]:
    """Return the largest element of each window of x (N, C, H, W), and a cache.

    `pool_param` has pool_height, pool_width and stride. The cache says which of the two ways
    below was taken: the first, if windows are square and cover the images without overlap.
    """
    height, width = pool_param["pool_height"], pool_param["pool_width"]
    square = height == width == pool_param["stride"]
    if square and x.shape[2] % height == 0 and x.shape[3] % width == 0:
        out, cache = max_pool_forward_reshape(x, pool_param)
        return out, ("reshape", cache)
    out, cache = max_pool_forward_im2col(x, pool_param)
    return out, ("im2col", cache)


def max_pool_backward_fast(dout: Any, cache: Any) -> Any:
    """Return dx for the cache of :func:`max_pool_forward_fast`."""
    method, its_cache = cache
    if method == "reshape":
        return max_pool_backward_reshape(dout, its_cache)
    if method == "im2col":
        return max_pool_backward_im2col(dout, its_cache)
    raise ValueError(f'Unrecognized method "{method}"')


def max_pool_forward_reshape(x: Any, pool_param: dict[str, Any]) -> tuple[Any, Any]:
    """Return the largest elements of square windows that cover the images, and a cache."""
    height, width = pool_param["pool_height"], pool_param["pool_width"]
    assert height == width == pool_param["stride"], "Invalid pool params"
    n, c, h, w = x.shape
    assert h % height == 0
    assert w % width == 0
    windows = x.reshape(n, c, h // height, height, w // width, width)
    out = ops.max_pool(x, height, width, height)[0] if fast(x) else windows.max(axis=(3, 5))
    return out, (x, windows, out)


def max_pool_backward_reshape(dout: Any, cache: Any) -> Any:
    """Return dx for the cache of :func:`max_pool_forward_reshape`.

    Equal elements share the gradient.
    """
    x, windows, out = cache
    height, width = windows.shape[3], windows.shape[5]
    if fast(dout) and x.dtype == dout.dtype and dout.shape == out.shape:
        return ops.max_pool_backward_shared(dout, x, out, height, width, height)
    largest = windows == out[:, :, :, np.newaxis, :, np.newaxis]
    d = np.where(largest, dout[:, :, :, np.newaxis, :, np.newaxis], 0).astype(x.dtype)
    d /= np.sum(largest, axis=(3, 5), keepdims=True)
    return d.reshape(x.shape)


def max_pool_forward_im2col(x: Any, pool_param: dict[str, Any]) -> tuple[Any, Any]:
    """Return the largest elements of windows of any size, and a cache."""
    height, width = pool_param["pool_height"], pool_param["pool_width"]
    stride = pool_param["stride"]
    assert (x.shape[2] - height) % stride == 0, "Invalid height"
    assert (x.shape[3] - width) % stride == 0, "Invalid width"
    out, argmax = _images.pool(x, height, width, stride)
    return out, (x, None, argmax, pool_param)


def max_pool_backward_im2col(dout: Any, cache: Any) -> Any:
    """Return dx for the cache of :func:`max_pool_forward_im2col`.

    Of equal elements, the first has the gradient.
    """
    x, _, argmax, pool_param = cache
    height, width = pool_param["pool_height"], pool_param["pool_width"]
    return _images.pool_backward(dout, argmax, x, height, width, pool_param["stride"])
