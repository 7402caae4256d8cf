"""``cs231n.layer_utils``: layers that often come together.

Caches are tuples of the single layers' caches.
"""

from __future__ import annotations

from typing import Any

from fastnn.dropin.cs231n import fast_layers, layers
from fastnn.dropin.cs231n._affine import affine_relu_backward, affine_relu_forward
from fastnn.dropin.cs231n._norms import batchnorm_relu_backward, batchnorm_relu_forward
from fastnn.dropin.cs231n.fast_layers import *  # noqa: F403 (scripts find these here, too)
from fastnn.dropin.cs231n.fast_layers import (
    conv_forward_fast,
    conv_gradients,
    max_pool_backward_fast,
    max_pool_forward_fast,
)
from fastnn.dropin.cs231n.layers import *  # noqa: F403
from fastnn.dropin.cs231n.layers import relu_backward, relu_forward

__all__ = [
    *sorted({*layers.__all__, *fast_layers.__all__}),
    "affine_relu_backward",
    "affine_relu_forward",
    "conv_bn_relu_backward",
    "conv_bn_relu_forward",
    "conv_relu_backward",
    "conv_relu_forward",
    "conv_relu_pool_backward",
    "conv_relu_pool_forward",
]


def conv_relu_forward(x: Any, w: Any, b: Any, conv_param: dict[str, Any]) -> tuple[Any, Any]:
    """Return the output of a convolution and ReLU, and a cache."""
    a, conv_cache = conv_forward_fast(x, w, b, conv_param)
    out, relu_cache = relu_forward(a)
    return out, (conv_cache, relu_cache)


def conv_relu_backward(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
    """Return dx, dw, db for the cache of :func:`conv_relu_forward`."""
    conv_cache, relu_cache = cache
    return conv_gradients(relu_backward(dout, relu_cache), conv_cache)


def conv_bn_relu_forward(
    x: Any,
    w: Any,
    b: Any,
    gamma: Any,
    beta: Any,
    conv_param: dict[str, Any],
    bn_param: dict[str, Any],
) -> tuple[Any, Any]:
    """Return the output of a convolution, batch normalisation and ReLU, and a cache."""
    a, conv_cache = conv_forward_fast(x, w, b, conv_param)
    out, caches = batchnorm_relu_forward(a, gamma, beta, bn_param)
    return out, (conv_cache, *caches)


def conv_bn_relu_backward(dout: Any, cache: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Return dx, dw, db, dgamma, dbeta for the cache of :func:`conv_bn_relu_forward`."""
    conv_cache, *caches = cache
    da, dgamma, dbeta = batchnorm_relu_backward(dout, caches)
    return (*conv_gradients(da, conv_cache), dgamma, dbeta)


def conv_relu_pool_forward(
    x: Any, w: Any, b: Any, conv_param: dict[str, Any], pool_param: dict[str, Any]
) -> tuple[Any, Any]:
    """Return the output of a convolution, ReLU and max pooling, and a cache.

    The ReLU comes last, as there is less to do then, and the result is the same.
    """
    a, conv_cache = conv_forward_fast(x, w, b, conv_param)
    pooled, pool_cache = max_pool_forward_fast(a, pool_param)
    out, _ = relu_forward(pooled)
    return out, (conv_cache, a, pool_cache)


def conv_relu_pool_backward(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
    """Return dx, dw, db for the cache of :func:`conv_relu_pool_forward`."""
    return conv_relu_pool_gradients(dout, cache)


def conv_relu_pool_gradients(
    dout: Any, cache: Any, input_gradient: bool = True
) -> tuple[Any, Any, Any]:
    """Return dx, dw, db, with None for dx where it is not asked for."""
    conv_cache, a, pool_cache = cache
    method, its_cache = pool_cache
    if method == "reshape":
        _, _, pooled = its_cache
        da = max_pool_backward_fast(relu_backward(dout, pooled), pool_cache)
    else:
        da = relu_backward(max_pool_backward_fast(dout, pool_cache), a)
    return conv_gradients(da, conv_cache, input_gradient)
