"""Batch normalisation of images: x is (N, C, S), pixels flattened, the statistics per channel."""

import numpy as np

from fastnn.kernels.activations import sum_of
from fastnn.kernels.compile import row_sum, serial
from fastnn.kernels.driver import kernel

__all__ = ["batchnorm_nchw", "batchnorm_nchw_backward", "batchnorm_nchw_inference"]


@kernel("x.shape[1]")
def batchnorm_nchw(
    x, gamma, beta, running_mean, running_var, momentum, eps, y, mean, rstd, start, stop
):
    """Normalise by the batch's own statistics and update the running ones."""
    real = x.dtype.type
    one, count = real(1), real(x.shape[0] * x.shape[2])
    old, new, e = real(momentum), real(1 - momentum), real(eps)
    for c in range(start, stop):
        total = real(0)
        for i in range(x.shape[0]):
            total += sum_of(x[i, c])
        mu = total / count
        total = real(0)
        for i in range(x.shape[0]):
            total += _sum_of_squares(x[i, c], mu)
        var = total / count
        mean[c], rstd[c] = mu, one / np.sqrt(var + e)
        running_mean[c] = old * running_mean[c] + new * mu
        running_var[c] = old * running_var[c] + new * var
        for i in range(x.shape[0]):
            _normalise(x[i, c], mu, gamma[c] * rstd[c], beta[c], y[i, c])


@kernel("x.shape[1]")
def batchnorm_nchw_inference(x, gamma, beta, running_mean, running_var, eps, y, start, stop):
    """Normalise by the running statistics."""
    e = x.dtype.type(eps)
    for c in range(start, stop):
        slope = gamma[c] / np.sqrt(running_var[c] + e)
        for i in range(x.shape[0]):
            _normalise(x[i, c], running_mean[c], slope, beta[c], y[i, c])


@kernel("x.shape[1]")
def batchnorm_nchw_backward(dout, x, gamma, mean, rstd, dx, dgamma, dbeta, start, stop):
    """Gradients of :func:`batchnorm_nchw` through the batch's own statistics."""
    real = x.dtype.type
    count = real(x.shape[0] * x.shape[2])
    for c in range(start, stop):
        mu, r = mean[c], rstd[c]
        sum_d, sum_dx = real(0), real(0)
        for i in range(x.shape[0]):
            sum_d += sum_of(dout[i, c])
            sum_dx += _sum_of_products(dout[i, c], x[i, c], mu, r)
        dbeta[c], dgamma[c] = sum_d, sum_dx
        slope = gamma[c] * r
        for i in range(x.shape[0]):
            plane, d, out = x[i, c], dout[i, c], dx[i, c]
            for s in range(plane.size):
                xhat = (plane[s] - mu) * r
                out[s] = slope * (d[s] - (sum_d + xhat * sum_dx) / count)


@row_sum
def _sum_of_squares(plane, mu):
    total = plane.dtype.type(0)
    for s in range(plane.size):
        total += (plane[s] - mu) * (plane[s] - mu)
    return total


@row_sum
def _sum_of_products(d, plane, mu, r):
    total = plane.dtype.type(0)
    for s in range(plane.size):
        total += d[s] * ((plane[s] - mu) * r)
    return total


@serial
def _normalise(plane, mu, slope, offset, out):
    for s in range(plane.size):
        out[s] = (plane[s] - mu) * slope + offset
