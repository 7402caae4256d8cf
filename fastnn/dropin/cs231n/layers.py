"""``cs231n.layers``: layers as pairs of functions.

Forward functions return the output and a cache, which the backward function takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import ops
from fastnn.dropin.cs231n import _images
from fastnn.dropin.cs231n._affine import affine_backward, affine_forward
from fastnn.dropin.cs231n._fast import fast
from fastnn.dropin.cs231n._losses import softmax_loss, svm_loss
from fastnn.dropin.cs231n._norms import (
    batchnorm_backward,
    batchnorm_backward_alt,
    batchnorm_forward,
    layernorm_backward,
    layernorm_forward,
    spatial_batchnorm_backward,
    spatial_batchnorm_forward,
    spatial_groupnorm_backward,
    spatial_groupnorm_forward,
)

if TYPE_CHECKING:
    import ast

__all__ = [
    "affine_backward",
    "affine_forward",
    "batchnorm_backward",
    "batchnorm_backward_alt",
    "batchnorm_forward",
    "conv_backward_naive",
    "conv_forward_naive",
    "dropout_backward",
    "dropout_forward",
    "layernorm_backward",
    "layernorm_forward",
    "max_pool_backward_naive",
    "max_pool_forward_naive",
    "np",
    "relu_backward",
    "relu_forward",
    "softmax_loss",
    "spatial_batchnorm_backward",
    "spatial_batchnorm_forward",
    "spatial_groupnorm_backward",
    "spatial_groupnorm_forward",
    "svm_loss",
]


def relu_forward(x: Any) -> tuple[Any, Any]:
    """Return max(0, x) and the cache x."""
    return ops.relu(x) if fast(x) else np.maximum(0, x), x


def relu_backward(dout: Any, cache: Any) -> Any:
    """Return dx, which is dout where x in the cache is above 0."""
    x = cache
    if fast(dout, x) and dout.shape == x.shape:
        return ops.relu_backward(dout, x)
    return dout * (x > 0)


def dropout_forward(x: Any, dropout_param: dict[str, Any]) -> tuple[Any, Any]:
    """Return the output of inverted dropout and the cache (dropout_param, mask).

    `dropout_param` has the mode, ``"train"`` or ``"test"``, and p, the probability of keeping an
    element, as in the course since 2018; NumPy's generator is seeded with its seed, if it has
    one. In mode train the mask is 1 / p or 0, else it is None and the output x.
    """
    p, mode = dropout_param["p"], dropout_param["mode"]
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    mask: Any = None
    out: Any = None
    if mode == "train":
        mask = (np.random.rand(*x.shape) < p) / p
        out = x * mask
    elif mode == "test":
        out = x
    return out.astype(x.dtype, copy=False), (dropout_param, mask)


def dropout_backward(dout: Any, cache: Any) -> Any:
    """Return dx for the cache of :func:`dropout_forward`."""
    dropout_param, mask = cache
    mode = dropout_param["mode"]
    if mode == "train":
        return dout * mask
    return dout if mode == "test" else None


def conv_forward_naive(x: Any, w: Any, b: Any, conv_param: dict[str, Any]) -> tuple[Any, Any]:
    """Return the convolution of x (N, C, H, W) with w (F, C, HH, WW), and the cache.

    `b` (F,) is added to the filters' outputs; `conv_param` has stride and pad. The output has
    1 + (H + 2 pad - HH) // stride rows and columns likewise; the cache is (x, w, b, conv_param).
    """
    out = _images.convolve(x, w, b, conv_param["stride"], conv_param["pad"])
    return out, (x, w, b, conv_param)


def conv_backward_naive(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
    """Return dx, dw, db for the cache of :func:`conv_forward_naive`."""
    x, w, _, conv_param = cache
    return _images.convolve_backward(dout, x, w, conv_param["stride"], conv_param["pad"])


def _window(pool_param: dict[str, Any]) -> tuple[Any, Any, Any]:
    return pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]


def max_pool_forward_naive(x: Any, pool_param: dict[str, Any]) -> tuple[Any, Any]:
    """Return the largest element of each window of x (N, C, H, W), and the cache.

    `pool_param` has pool_height, pool_width and stride; the cache is (x, pool_param).
    """
    return _images.pool(x, *_window(pool_param))[0], (x, pool_param)


def max_pool_backward_naive(dout: Any, cache: Any) -> Any:
    """Return dx for the cache of :func:`max_pool_forward_naive`.

    Of equal elements, the first has the gradient.
    """
    x, pool_param = cache
    _, argmax = _images.pool(x, *_window(pool_param))
    return _images.pool_backward(dout, argmax, x, *_window(pool_param))


def kept(definitions: Mapping[str, ast.stmt]) -> set[str]:
    """Return what a script's own module, with these definitions, means otherwise than this one."""
    from fastnn.dropin.cs231n._dropping import drops  # for scripts that have that module

    return {"dropout_forward", "dropout_backward"} if drops(definitions) else set()
