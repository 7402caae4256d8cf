"""Layer normalisation: x is (N, D), the statistics are per row.

As in :mod:`fastnn.kernels.layers.moments`, sums are float64 and of differences from the first
number of a row, and what rounding takes from a mean is made up for.
"""

import numpy as np

from fastnn.kernels.codegen.compile import row_sum, serial
from fastnn.kernels.layers.moments import COLUMNS, origin
from fastnn.kernels.threading.driver import kernel
from fastnn.kernels.tuning import COMMON

__all__ = ["layernorm", "layernorm_backward"]

# Rows whose sums are taken in their own type.
ROWS = COMMON.layernorm_rows


@row_sum
def _sums(x, pivot):
    total, squares = 0.0, 0.0
    for j in range(x.size):
        off = np.float64(x[j]) - pivot
        total += off
        squares += off * off
    return total, squares


@serial
def _normalise_row(x, gamma, beta, eps, y):
    """Write a row's result to y; return its mean and reciprocal standard deviation."""
    real = x.dtype.type
    pivot = origin(x[0])
    total, squares = _sums(x, pivot)
    off = total / x.size
    var = squares / x.size - off * off
    var = 0.0 if var < 0 else var
    inverse = 1 / np.sqrt(var + eps)
    mean, rstd = real(pivot + off), real(inverse)
    shift = real(((pivot - mean) + off) * inverse)
    for j in range(x.size):
        y[j] = ((x[j] - mean) * rstd - shift) * gamma[j] + beta[j]
    return mean, rstd


@kernel("x.shape[0]")
def layernorm(x, gamma, beta, eps, y, mean, rstd, start, stop):
    """Normalise each row by its own mean and variance."""
    for i in range(start, stop):
        mean[i], rstd[i] = _normalise_row(x[i], gamma, beta, eps, y[i])


@row_sum
def _means(d, x, gamma, mean, rstd):
    """Return the means of d gamma, of d gamma xhat, and of xhat, with xhat = (x - mean) rstd."""
    share = 1 / x.size
    sum_d, sum_dx, sum_x = 0.0, 0.0, 0.0
    for j in range(x.size):
        scaled, xhat = np.float64(d[j] * gamma[j]), np.float64((x[j] - mean) * rstd)
        sum_d += scaled
        sum_dx += scaled * xhat
        sum_x += xhat
    return sum_d * share, sum_dx * share, sum_x * share


@kernel("x.shape[0]")
def _input_gradient(dout, x, gamma, mean, rstd, dx, rest, start, stop):
    real = x.dtype.type
    for i in range(start, stop):
        d, row, out, centre, scale = dout[i], x[i], dx[i], mean[i], rstd[i]
        mean_d, mean_dx, mean_x = _means(d, row, gamma, centre, scale)
        left = origin(mean_x)
        mean_dx -= left * mean_d
        along, shift = real(mean_dx), real(mean_d - left * mean_dx)
        rest[i] = left
        for j in range(out.size):
            out[j] = scale * ((d[j] * gamma[j] - shift) - (row[j] - centre) * scale * along)


@kernel("x.shape[1]", COLUMNS)
def _parameter_gradients(dout, x, mean, rstd, rest, dgamma, dbeta, start, stop):
    n, width = x.shape[0], stop - start
    sums, part = np.zeros((2, width)), np.empty((2, width), x.dtype)
    along, total = part[0], part[1]
    for low in range(0, n, ROWS):
        part[:] = 0
        for i in range(low, min(n, low + ROWS)):
            d, row = dout[i, start:stop], x[i, start:stop]
            centre, scale, left = mean[i], rstd[i], rest[i]
            for j in range(width):
                total[j] += d[j]
                along[j] += d[j] * ((row[j] - centre) * scale - left)
        for j in range(width):
            sums[0, j] += along[j]
            sums[1, j] += total[j]
    dgamma[start:stop] = sums[0]
    dbeta[start:stop] = sums[1]


def layernorm_backward(dout, x, gamma, mean, rstd, dx, dgamma, dbeta, chunks):
    """Gradients through the rows' mean and variance."""
    rest = np.empty_like(mean)  # of the mean of xhat, what rounding of the mean has left
    _input_gradient(dout, x, gamma, mean, rstd, dx, rest, chunks)
    _parameter_gradients(dout, x, mean, rstd, rest, dgamma, dbeta, chunks)
