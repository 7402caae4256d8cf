"""Convolution and max pooling of images (N, C, H, W)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fastnn import ops
from fastnn.dropin.cs231n._fast import fast


def _is_whole(*numbers: Any) -> bool:
    return all(isinstance(n, (int, np.integer)) and n >= 0 for n in numbers)


def _fits(x: Any, height: int, width: int, stride: Any, pad: Any = 0) -> bool:
    """Say whether there is a window of this size in the images."""
    return bool(
        x.ndim == 4
        and _is_whole(height, width, stride, pad)
        and min(height, width, stride) > 0
        and x.shape[2] + 2 * pad >= height
        and x.shape[3] + 2 * pad >= width
    )


def _padded(x: Any, pad: int) -> Any:
    return np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))


def _windows(x: Any, height: int, width: int, stride: int) -> Any:
    """Return a view (N, C, OH, OW, height, width)."""
    return sliding_window_view(x, (height, width), axis=(2, 3))[:, :, ::stride, ::stride]


def convolve(x: Any, w: Any, b: Any, stride: Any, pad: Any) -> Any:
    """Return the convolution of x (N, C, H, W) with filters w (F, C, HH, WW), with bias b (F,)."""
    if fast(x, w, b) and _are_filters(x, w, stride, pad) and b.shape == w.shape[:1]:
        return ops.convolution(x, w, b, stride, pad)
    windows = _windows(_padded(x, pad), w.shape[2], w.shape[3], stride)
    out = np.tensordot(windows, w, ((1, 4, 5), (1, 2, 3))) + b
    return np.ascontiguousarray(out.transpose(0, 3, 1, 2))


def _are_filters(x: Any, w: Any, stride: Any, pad: Any) -> bool:
    usual = w.ndim == 4 and w.size and _fits(x, w.shape[2], w.shape[3], stride, pad)
    return bool(usual and x.shape[1] == w.shape[1])


def convolve_backward(
    dout: Any, x: Any, w: Any, stride: Any, pad: Any, input_gradient: bool = True
) -> tuple[Any, Any, Any]:
    """Return the gradients dx (None if it is not asked for), dw, db of :func:`convolve`."""
    if fast(dout, x, w) and _are_filters(x, w, stride, pad):
        oh, ow = (1 + (x.shape[k] + 2 * pad - w.shape[k]) // stride for k in (2, 3))
        if dout.shape == (x.shape[0], w.shape[0], oh, ow):
            return ops.convolution_backward(dout, x, w, stride, pad, input_gradient=input_gradient)
    padded = _padded(x, pad)
    windows = _windows(padded, w.shape[2], w.shape[3], stride)
    dw = np.tensordot(dout, windows, ((0, 2, 3), (0, 2, 3)))
    dx = np.zeros(padded.shape, np.result_type(dout, w))
    oh, ow = dout.shape[2:]
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            part = np.tensordot(dout, w[:, :, i, j], ((1,), (0,))).transpose(0, 3, 1, 2)
            dx[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride] += part
    h, w_ = x.shape[2:]
    return dx[:, :, pad : pad + h, pad : pad + w_], dw, np.sum(dout, axis=(0, 2, 3))


def pool(x: Any, height: Any, width: Any, stride: Any) -> tuple[Any, Any]:
    """Return the largest elements of windows, and where in its window the first of each stands."""
    if fast(x) and _fits(x, height, width, stride):
        return ops.max_pool(x, height, width, stride)
    windows = _windows(x, height, width, stride)
    flat = windows.reshape(*windows.shape[:4], -1)
    argmax = flat.argmax(axis=-1)
    return np.take_along_axis(flat, argmax[..., np.newaxis], -1)[..., 0], argmax


def pool_backward(dout: Any, argmax: Any, x: Any, height: Any, width: Any, stride: Any) -> Any:
    """Return the gradient of :func:`pool`, shaped like x: the first largest element's."""
    usual = fast(dout) and dout.dtype == x.dtype and dout.shape == argmax.shape
    if usual and _fits(x, height, width, stride):
        return ops.max_pool_backward(dout, argmax, x.shape, height, width, stride)
    dx = np.zeros_like(x)
    n, c, i, j = np.indices(dout.shape, sparse=True)
    np.add.at(dx, (n, c, i * stride + argmax // width, j * stride + argmax % width), dout)
    return dx
