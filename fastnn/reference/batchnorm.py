"""Batch normalisation (Ioffe and Szegedy, 2015) of rows: x is (N, D)."""

from __future__ import annotations

import numpy as np

from fastnn._utils.types import Array
from fastnn.reference._wide import rest_of, widened
from fastnn.reference.activations import relu_backward


def batchnorm(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    momentum: float,
    eps: float,
    low: float,
    y: Array,
    mean: Array,
    rstd: Array,
) -> None:
    """y = gamma (x - mean) rstd + beta, rstd = 1 / sqrt(var + eps), var the biased variance.

    y is not below `low`: 0 makes it that of ReLU, and -inf leaves it as it is. Running statistics
    become ``momentum * old + (1 - momentum) * batch``. All is float64 until it is written.
    """
    x, gamma, beta = widened(x, gamma, beta)
    centre = np.mean(x, axis=0)
    centred = x - centre
    var = np.mean(centred * centred, axis=0)
    inverse = 1 / np.sqrt(var + eps)
    mean[...], rstd[...] = centre, inverse
    y[...] = gamma * (centred * inverse) + beta
    np.maximum(y, low, out=y)
    running_mean[...] = momentum * running_mean + (1 - momentum) * centre
    running_var[...] = momentum * running_var + (1 - momentum) * var


def batchnorm_inference(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    eps: float,
    low: float,
    y: Array,
) -> None:
    """y = gamma (x - running_mean) / sqrt(running_var + eps) + beta, not below `low`."""
    x, gamma, beta, mean, var = widened(x, gamma, beta, running_mean, running_var)
    y[...] = (x - mean) * (gamma / np.sqrt(var + eps)) + beta
    np.maximum(y, low, out=y)


def batchnorm_backward(
    dout: Array,
    x: Array,
    gamma: Array,
    mean: Array,
    rstd: Array,
    y: Array | None,
    dx: Array,
    dgamma: Array,
    dbeta: Array,
) -> None:
    """Gradients through mean and variance, which are functions of x.

    If the result was that of ReLU, y is that result, and dout counts where it is above 0.

    With xhat = (x - mean) rstd, whose mean is 0 but for what rounding has taken from `mean`:
    dbeta = sum(dout), dgamma = sum(dout xhat) and dx = gamma rstd (dout - (dbeta + xhat dgamma)
    / N). All is float64 until it is written.
    """
    if y is not None:
        masked = np.empty_like(dout)
        relu_backward(dout, y, masked)
        dout = masked
    dout, x, gamma, mean, rstd = widened(dout, x, gamma, mean, rstd)
    xhat = (x - mean) * rstd
    rest = rest_of(xhat, axis=0)
    along_1 = np.sum(dout, axis=0)
    along_x = np.sum(dout * xhat, axis=0) - rest * along_1
    dbeta[...], dgamma[...] = along_1, along_x
    dx[...] = gamma * rstd * (dout - (along_1 - rest * along_x + xhat * along_x) / len(x))
