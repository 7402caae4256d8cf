"""Batch normalisation (Ioffe and Szegedy, 2015) of rows: x is (N, D)."""

from __future__ import annotations

import numpy as np

from fastnn._utils.types import Array
from fastnn.reference._wide import rest_of, widened
from fastnn.reference.activations import relu, relu_backward


def batchnorm(
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
    """y = gamma (x - mean) rstd + beta, rstd = 1 / sqrt(var + eps), var the biased variance.

    Running statistics become ``momentum * old + (1 - momentum) * batch``. All is float64 until
    it is written.
    """
    x, gamma, beta = widened(x, gamma, beta)
    centre = np.mean(x, axis=0)
    centred = x - centre
    var = np.mean(centred * centred, axis=0)
    inverse = 1 / np.sqrt(var + eps)
    mean[...], rstd[...] = centre, inverse
    y[...] = gamma * (centred * inverse) + beta
    running_mean[...] = momentum * running_mean + (1 - momentum) * centre
    running_var[...] = momentum * running_var + (1 - momentum) * var


def batchnorm_inference(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    eps: float,
    y: Array,
) -> None:
    """y = gamma (x - running_mean) / sqrt(running_var + eps) + beta."""
    x, gamma, beta, mean, var = widened(x, gamma, beta, running_mean, running_var)
    y[...] = (x - mean) * (gamma / np.sqrt(var + eps)) + beta


def batchnorm_backward(
    dout: Array,
    x: Array,
    gamma: Array,
    mean: Array,
    rstd: Array,
    dx: Array,
    dgamma: Array,
    dbeta: Array,
) -> None:
    """Gradients through mean and variance, which are functions of x.

    With xhat = (x - mean) rstd, whose mean is 0 but for what rounding has taken from `mean`:
    dbeta = sum(dout), dgamma = sum(dout xhat) and dx = gamma rstd (dout - (dbeta + xhat dgamma)
    / N). All is float64 until it is written.
    """
    dout, x, gamma, mean, rstd = widened(dout, x, gamma, mean, rstd)
    xhat = (x - mean) * rstd
    rest = rest_of(xhat, axis=0)
    along_1 = np.sum(dout, axis=0)
    along_x = np.sum(dout * xhat, axis=0) - rest * along_1
    dbeta[...], dgamma[...] = along_1, along_x
    dx[...] = gamma * rstd * (dout - (along_1 - rest * along_x + xhat * along_x) / len(x))


def batchnorm_relu(
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
    """As :func:`batchnorm`, then y = max(y, 0)."""
    batchnorm(x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd)
    relu(y, y)


def batchnorm_relu_inference(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    eps: float,
    y: Array,
) -> None:
    """As :func:`batchnorm_inference`, then y = max(y, 0)."""
    batchnorm_inference(x, gamma, beta, running_mean, running_var, eps, y)
    relu(y, y)


def batchnorm_relu_backward(
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
    """As :func:`batchnorm_backward`, with dout where y > 0."""
    dz = np.empty_like(dout)
    relu_backward(dout, y, dz)
    batchnorm_backward(dz, x, gamma, mean, rstd, dx, dgamma, dbeta)
