"""Batch normalisation of images: x is (N, C, S), pixels flattened, the statistics per channel.

The formulas are those of :mod:`fastnn.reference.batchnorm`, on one row per pixel.
"""

from __future__ import annotations

import numpy as np

from fastnn._utils.types import Array
from fastnn.reference.activations import relu, relu_backward
from fastnn.reference.batchnorm import batchnorm, batchnorm_backward, batchnorm_inference


def _rows(x: Array) -> Array:
    return x.transpose(0, 2, 1).reshape(-1, x.shape[1])


def _images(y: Array, like: Array) -> Array:
    n, c, s = like.shape
    return y.reshape(n, s, c).transpose(0, 2, 1)


def batchnorm_nchw(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    momentum: float,
    eps: float,
    y: Array,
    mean: Array,
    rstd: Array,
) -> None:
    """As :func:`fastnn.reference.batchnorm.batchnorm`, over N and S."""
    flat = _rows(x)
    batchnorm(flat, gamma, beta, running_mean, running_var, momentum, eps, flat, mean, rstd)
    y[...] = _images(flat, x)


def batchnorm_nchw_inference(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    eps: float,
    y: Array,
) -> None:
    """As :func:`fastnn.reference.batchnorm.batchnorm_inference`, per channel."""
    flat = _rows(x)
    batchnorm_inference(flat, gamma, beta, running_mean, running_var, eps, flat)
    y[...] = _images(flat, x)


def batchnorm_nchw_backward(
    dout: Array,
    x: Array,
    gamma: Array,
    mean: Array,
    rstd: Array,
    dx: Array,
    dgamma: Array,
    dbeta: Array,
) -> None:
    """As :func:`fastnn.reference.batchnorm.batchnorm_backward`, over N and S."""
    flat = _rows(x)
    batchnorm_backward(_rows(dout), flat, gamma, mean, rstd, flat, dgamma, dbeta)
    dx[...] = _images(flat, x)


def batchnorm_nchw_relu(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    momentum: float,
    eps: float,
    y: Array,
    mean: Array,
    rstd: Array,
) -> None:
    """As :func:`batchnorm_nchw`, then y = max(y, 0)."""
    batchnorm_nchw(x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd)
    relu(y, y)


def batchnorm_nchw_relu_inference(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    eps: float,
    y: Array,
) -> None:
    """As :func:`batchnorm_nchw_inference`, then y = max(y, 0)."""
    batchnorm_nchw_inference(x, gamma, beta, running_mean, running_var, eps, y)
    relu(y, y)


def batchnorm_nchw_relu_backward(
    dout: Array,
    x: Array,
    gamma: Array,
    mean: Array,
    rstd: Array,
    y: Array,
    dx: Array,
    dgamma: Array,
    dbeta: Array,
) -> None:
    """As :func:`batchnorm_nchw_backward`, with dout where y > 0."""
    dz = np.empty_like(dout)
    relu_backward(dout, y, dz)
    batchnorm_nchw_backward(dz, x, gamma, mean, rstd, dx, dgamma, dbeta)
