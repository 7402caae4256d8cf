"""Layer normalisation: x is (N, D), the statistics are per row.

The mean is taken twice: once of the row, and once of what is left of it, which is what rounding
has left. The variance is then exact to more digits where the mean is large against the spread.
"""

import numpy as np

from fastnn.kernels.codegen.compile import row_sum, serial
from fastnn.kernels.layers.activations import sum_of
from fastnn.kernels.layers.losses import sum_of_squares
from fastnn.kernels.layers.moments import COLUMNS
from fastnn.kernels.threading.driver import kernel

__all__ = ["layernorm", "layernorm_backward"]


@serial
def _normalise_row(x, gamma, beta, eps, y):
    """Write a row's result to y; return its mean and reciprocal standard deviation."""
    real = x.dtype.type
    count, zero = real(x.size), real(0)
    mean = sum_of(x) / count
    for j in range(x.size):
        y[j] = x[j] - mean
    rest = sum_of(y) / count
    rest = rest if rest - rest == zero else zero  # of an infinite mean nothing is left
    rstd = real(1) / np.sqrt(sum_of_squares(y) / count - rest * rest + real(eps))
    for j in range(x.size):
        y[j] = (y[j] - rest) * rstd * gamma[j] + beta[j]
    return mean + rest, rstd


@kernel("x.shape[0]")
def layernorm(x, gamma, beta, eps, y, mean, rstd, start, stop):
    """Normalise each row by its own mean and variance."""
    for i in range(start, stop):
        mean[i], rstd[i] = _normalise_row(x[i], gamma, beta, eps, y[i])


@row_sum
def _along(d, x, mean, rstd):
    """Sum of d xhat."""
    total = x.dtype.type(0)
    for j in range(x.size):
        total += d[j] * ((x[j] - mean) * rstd)
    return total


@kernel("x.shape[0]")
def _input_gradient(dout, x, gamma, mean, rstd, dx, start, stop):
    count = x.dtype.type(x.shape[1])
    for i in range(start, stop):
        d, row, out, centre, scale = dout[i], x[i], dx[i], mean[i], rstd[i]
        for j in range(out.size):
            out[j] = d[j] * gamma[j]
        mean_d, mean_dx = sum_of(out) / count, _along(out, row, centre, scale) / count
        for j in range(out.size):
            out[j] = scale * (out[j] - (mean_d + (row[j] - centre) * scale * mean_dx))


@kernel("x.shape[1]", COLUMNS)
def _parameter_gradients(dout, x, mean, rstd, dgamma, dbeta, start, stop):
    along, total = dgamma[start:stop], dbeta[start:stop]
    along[:] = 0
    total[:] = 0
    for i in range(x.shape[0]):
        d, row, centre, scale = dout[i, start:stop], x[i, start:stop], mean[i], rstd[i]
        for j in range(total.size):
            total[j] += d[j]
            along[j] += d[j] * ((row[j] - centre) * scale)


def layernorm_backward(dout, x, gamma, mean, rstd, dx, dgamma, dbeta, chunks):
    """Gradients through the rows' mean and variance."""
    _input_gradient(dout, x, gamma, mean, rstd, dx, chunks)
    _parameter_gradients(dout, x, mean, rstd, dgamma, dbeta, chunks)
