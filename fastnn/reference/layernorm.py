"""Layer normalisation (Ba, Kiros and Hinton, 2016) of rows: x is (N, D)."""

from __future__ import annotations

import numpy as np

from fastnn._utils.types import Array
from fastnn.reference._wide import rest_of, widened


def layernorm(
    x: Array, gamma: Array, beta: Array, eps: float, y: Array, mean: Array, rstd: Array
) -> None:
    """y = gamma (x - mean) rstd + beta, rstd = 1 / sqrt(var + eps); mean and var of each row.

    All is float64 until it is written.
    """
    x, gamma, beta = widened(x, gamma, beta)
    centre = np.mean(x, axis=1)
    centred = x - centre[:, None]
    inverse = 1 / np.sqrt(np.mean(centred * centred, axis=1) + eps)
    mean[...], rstd[...] = centre, inverse
    y[...] = gamma * (centred * inverse[:, None]) + beta


def layernorm_backward(
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

    With xhat = (x - mean) rstd and d = dout gamma: dbeta = sum(dout), dgamma = sum(dout xhat)
    over the rows, and dx = rstd (d - mean(d) - xhat mean(d xhat)), means over a row. That of xhat
    is 0 but for what rounding has taken from `mean`. All is float64 until it is written.
    """
    dout, x, gamma, mean, rstd = widened(dout, x, gamma, mean, rstd)
    xhat = (x - mean[:, None]) * rstd[:, None]
    rest = rest_of(xhat, axis=1)
    dbeta[...] = np.sum(dout, axis=0)
    dgamma[...] = np.sum(dout * (xhat - rest[:, None]), axis=0)
    d = dout * gamma
    mean_d = np.mean(d, axis=1)
    mean_dx = np.mean(d * xhat, axis=1) - rest * mean_d
    shift = mean_d - rest * mean_dx
    dx[...] = rstd[:, None] * (d - (shift[:, None] + xhat * mean_dx[:, None]))
