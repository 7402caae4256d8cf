"""Batch normalisation of rows: x is (N, D), the statistics are per column.

Mean and variance take a pass each: the one-pass formula E[x^2] - E[x]^2 loses all digits
where the mean is large against the spread.
"""

import numpy as np

from fastnn.kernels.affine import COLUMNS
from fastnn.kernels.driver import kernel

__all__ = ["batchnorm", "batchnorm_backward", "batchnorm_inference"]


@kernel("x.shape[1]", COLUMNS)
def batchnorm(x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, start, stop):
    """Normalise by the batch's own statistics and update the running ones."""
    real = x.dtype.type
    one, n = real(1), real(x.shape[0])
    old, new, e = real(momentum), real(1 - momentum), real(eps)
    gamma, beta, mean, rstd = (
        gamma[start:stop],
        beta[start:stop],
        mean[start:stop],
        rstd[start:stop],
    )
    running_mean, running_var = running_mean[start:stop], running_var[start:stop]
    mean[:] = 0
    for i in range(x.shape[0]):
        row = x[i, start:stop]
        for j in range(row.size):
            mean[j] += row[j]
    for j in range(mean.size):
        mean[j] /= n
    rstd[:] = 0
    for i in range(x.shape[0]):
        row = x[i, start:stop]
        for j in range(row.size):
            centred = row[j] - mean[j]
            rstd[j] += centred * centred
    for j in range(mean.size):
        var = rstd[j] / n
        running_mean[j] = old * running_mean[j] + new * mean[j]
        running_var[j] = old * running_var[j] + new * var
        rstd[j] = one / np.sqrt(var + e)
    for i in range(x.shape[0]):
        row, out = x[i, start:stop], y[i, start:stop]
        for j in range(row.size):
            out[j] = gamma[j] * ((row[j] - mean[j]) * rstd[j]) + beta[j]


@kernel("x.shape[0]")
def batchnorm_inference(x, gamma, beta, running_mean, running_var, eps, y, start, stop):
    """Normalise by the running statistics."""
    e = x.dtype.type(eps)
    for i in range(start, stop):
        row, out = x[i], y[i]
        for j in range(row.size):
            slope = gamma[j] / np.sqrt(running_var[j] + e)
            out[j] = (row[j] - running_mean[j]) * slope + beta[j]


@kernel("x.shape[1]", COLUMNS)
def batchnorm_backward(dout, x, gamma, mean, rstd, dx, dgamma, dbeta, start, stop):
    """Gradients of :func:`batchnorm` through the batch's own statistics."""
    n = x.dtype.type(x.shape[0])
    gamma, mean, rstd = gamma[start:stop], mean[start:stop], rstd[start:stop]
    dgamma, dbeta = dgamma[start:stop], dbeta[start:stop]
    dgamma[:] = 0
    dbeta[:] = 0
    for i in range(x.shape[0]):
        row, d = x[i, start:stop], dout[i, start:stop]
        for j in range(row.size):
            dbeta[j] += d[j]
            dgamma[j] += d[j] * ((row[j] - mean[j]) * rstd[j])
    for i in range(x.shape[0]):
        row, d, out = x[i, start:stop], dout[i, start:stop], dx[i, start:stop]
        for j in range(row.size):
            xhat = (row[j] - mean[j]) * rstd[j]
            out[j] = gamma[j] * rstd[j] * (d[j] - (dbeta[j] + xhat * dgamma[j]) / n)
