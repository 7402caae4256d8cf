"""Batch, layer and group normalisation.

A cache is (x, gamma, mean, rstd): the input, the scale, and what normalised it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn.dropin.cs231n._fast import fast, plain


def batchnorm_forward(x: Any, gamma: Any, beta: Any, bn_param: dict[str, Any]) -> Any:
    """Normalise each feature of x (N, D), then scale by gamma and shift by beta.

    `bn_param` has the mode, ``"train"`` (by the mean and variance of this batch) or ``"test"``
    (by the running ones), and may have eps (1e-5), momentum (0.9), running_mean and running_var
    (zeros); the last two are put into it. Returns out and the cache, which is None in mode test.
    """
    _, _ = x.shape
    return _batchnorm(x, gamma, beta, bn_param)


def spatial_batchnorm_forward(x: Any, gamma: Any, beta: Any, bn_param: dict[str, Any]) -> Any:
    """Normalise each channel of images x (N, C, H, W), as :func:`batchnorm_forward` does."""
    _, _, _, _ = x.shape
    return _batchnorm(x, gamma, beta, bn_param)


def batchnorm_relu_forward(
    x: Any, gamma: Any, beta: Any, bn_param: dict[str, Any]
) -> tuple[Any, Any]:
    """Normalise (N, D) or images, then clamp at zero; return out and a pair of caches.

    They are those of the normalisation and of the ReLU.
    """
    out, cache = _batchnorm(x, gamma, beta, bn_param, relu=True)
    return out, (cache, out)  # the output is above 0 where the ReLU's input is


def _batchnorm(
    x: Any, gamma: Any, beta: Any, bn_param: dict[str, Any], relu: bool = False
) -> tuple[Any, Any]:
    mode = bn_param["mode"]
    eps, momentum = bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    d = x.shape[1]
    running_mean = bn_param.get("running_mean", np.zeros(d, x.dtype))
    running_var = bn_param.get("running_var", np.zeros(d, x.dtype))
    given = (gamma, beta, running_mean, running_var)
    usual = fast(x, *given) and x.size > 0 and plain(x, eps, momentum) and eps >= 0
    usual = usual and all([a.shape == (d,) for a in given]) and 0 <= momentum <= 1
    out, cache = None, None
    if mode == "train":
        if usual and running_mean.dtype == running_var.dtype == x.dtype:
            running_mean, running_var = running_mean.copy(), running_var.copy()
            forward = ops.batchnorm_relu if relu else ops.batchnorm
            out, mean, rstd = forward(x, gamma, beta, running_mean, running_var, momentum, eps)
        else:
            rows = _rows(x)
            mean, var = rows.mean(axis=0), rows.var(axis=0)
            rstd = 1 / np.sqrt(var + eps)
            out = _unrows(gamma * ((rows - mean) * rstd) + beta, x.shape)
            out = np.maximum(0, out) if relu else out
            running_mean = momentum * running_mean + (1 - momentum) * mean
            running_var = momentum * running_var + (1 - momentum) * var
        cache = (x, gamma, mean, rstd)
    elif mode == "test":
        if usual:
            infer = ops.batchnorm_relu_inference if relu else ops.batchnorm_inference
            out = infer(x, gamma, beta, running_mean, running_var, eps)
        else:
            xhat = (_rows(x) - running_mean) / np.sqrt(running_var + eps)
            out = _unrows(gamma * xhat + beta, x.shape)
            out = np.maximum(0, out) if relu else out
    else:
        raise ValueError(f'Invalid forward batchnorm mode "{mode}"')
    bn_param["running_mean"] = running_mean
    bn_param["running_var"] = running_var
    return out, cache


def _rows(images: Any) -> Any:
    """Return (N, D) as it is and images as rows of channels, one for each pixel."""
    if images.ndim == 2:
        return images
    return images.transpose(0, 2, 3, 1).reshape(-1, images.shape[1])


def _unrows(rows: Any, shape: tuple[int, ...]) -> Any:
    if len(shape) == 2:
        return rows
    n, c, h, w = shape
    return rows.reshape(n, h, w, c).transpose(0, 3, 1, 2)


def batchnorm_backward(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
    """Return dx, dgamma, dbeta for the cache of :func:`batchnorm_forward` in mode train."""
    x, gamma, mean, rstd = cache
    if fast(dout, x, gamma, mean, rstd) and dout.shape == x.shape:
        return ops.batchnorm_backward(dout, x, gamma, mean, rstd)
    d = _rows(dout)
    xhat = (_rows(x) - mean) * rstd
    dbeta, dgamma = np.sum(d, axis=0), np.sum(d * xhat, axis=0)
    dx = gamma * rstd * (d - (dbeta + xhat * dgamma) / len(d))
    return _unrows(dx, dout.shape), dgamma, dbeta


def batchnorm_relu_backward(dout: Any, caches: Any) -> tuple[Any, Any, Any]:
    """Return dx, dgamma, dbeta for the caches of :func:`batchnorm_relu_forward`."""
    (x, gamma, mean, rstd), y = caches
    if fast(dout, x, gamma, mean, rstd, y) and dout.shape == x.shape:
        return ops.batchnorm_relu_backward(dout, x, gamma, mean, rstd, y)
    return batchnorm_backward(dout * (y > 0), caches[0])


def batchnorm_backward_alt(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
    """Return what :func:`batchnorm_backward` does, which here is the short formula already."""
    return batchnorm_backward(dout, cache)


def spatial_batchnorm_backward(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
    """Return dx, dgamma, dbeta for the cache of :func:`spatial_batchnorm_forward`."""
    return batchnorm_backward(dout, cache)


def layernorm_forward(x: Any, gamma: Any, beta: Any, ln_param: dict[str, Any]) -> tuple[Any, Any]:
    """Normalise each row of x (N, D), then scale by gamma and shift by beta.

    `ln_param` may have eps (1e-5). Returns out and the cache.
    """
    eps = ln_param.get("eps", 1e-5)
    usual = fast(x, gamma, beta) and x.ndim == 2 and x.size > 0 and plain(x, eps) and eps >= 0
    if usual and gamma.shape == beta.shape == x.shape[1:]:
        out, mean, rstd = ops.layernorm(x, gamma, beta, eps)
    else:
        mean = x.mean(axis=1)
        rstd = 1 / np.sqrt(x.var(axis=1) + eps)
        out = gamma * ((x - mean[:, np.newaxis]) * rstd[:, np.newaxis]) + beta
    return out, (x, gamma, mean, rstd)


def layernorm_backward(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
    """Return dx, dgamma, dbeta for the cache of :func:`layernorm_forward`."""
    x, gamma, mean, rstd = cache
    if fast(dout, x, gamma, mean, rstd) and dout.shape == x.shape:
        return ops.layernorm_backward(dout, x, gamma, mean, rstd)
    xhat = (x - mean[:, np.newaxis]) * rstd[:, np.newaxis]
    d = dout * gamma
    mean_d = d.mean(axis=1, keepdims=True)
    dx = rstd[:, np.newaxis] * (d - mean_d - xhat * (d * xhat).mean(axis=1, keepdims=True))
    return dx, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)


def spatial_groupnorm_forward(
    x: Any, gamma: Any, beta: Any, G: int, gn_param: dict[str, Any]
) -> tuple[Any, Any]:
    """Normalise groups of channels of images x (N, C, H, W), G of them in each image.

    `gamma` and `beta`, of shape (1, C, 1, 1) or (C,), scale and shift the channels. `gn_param`
    may have eps (1e-5). Returns out and the cache.
    """
    n, c, h, w = x.shape
    rows = x.reshape(n * G, c // G * h * w)
    one = np.ones(rows.shape[1], x.dtype)
    xhat, normed = layernorm_forward(rows, one, np.zeros_like(one), gn_param)
    xhat = xhat.reshape(x.shape)
    out = xhat * _per_channel(gamma) + _per_channel(beta)
    return out, (normed, gamma, xhat)


def spatial_groupnorm_backward(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
    """Return dx, dgamma, dbeta for the cache of :func:`spatial_groupnorm_forward`."""
    normed, gamma, xhat = cache
    axes = (0, 2, 3)
    dbeta = np.sum(dout, axis=axes).reshape(gamma.shape)
    dgamma = np.sum(dout * xhat, axis=axes).reshape(gamma.shape)
    d = (dout * _per_channel(gamma)).reshape(normed[0].shape)
    return layernorm_backward(d, normed)[0].reshape(dout.shape), dgamma, dbeta


def _per_channel(scale: Any) -> Any:
    return scale.reshape(1, -1, 1, 1)
