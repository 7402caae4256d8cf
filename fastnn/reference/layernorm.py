"""Layer normalisation (Ba, Kiros and Hinton, 2016) of rows: x is (N, D)."""

from __future__ import annotations

import numpy as np

from fastnn._utils.types import Array


def layernorm(
    x: Array, gamma: Array, beta: Array, eps: float, y: Array, mean: Array, rstd: Array
) -> None:
    """y = gamma (x - mean) rstd + beta, rstd = 1 / sqrt(var + eps); mean and var of each row."""
    np.mean(x, axis=1, out=mean)
    centred = x - mean[:, None]
    rstd[...] = 1 / np.sqrt(np.mean(centred * centred, axis=1) + eps)
    y[...] = gamma * (centred * rstd[:, None]) + beta


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
    over the rows, and dx = rstd (d - mean(d) - xhat mean(d xhat)), means over a row.
    """
    xhat = (x - mean[:, None]) * rstd[:, None]
    np.sum(dout, axis=0, out=dbeta)
    np.sum(dout * xhat, axis=0, out=dgamma)
    d = dout * gamma
    mean_d, mean_dx = np.mean(d, axis=1), np.mean(d * xhat, axis=1)
    dx[...] = rstd[:, None] * (d - (mean_d[:, None] + xhat * mean_dx[:, None]))
