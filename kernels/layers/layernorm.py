"""Layer normalisation: x is (N, D), the statistics are per row.

As in :mod:`fastnn.kernels.layers.moments`, sums are float64 and of differences from the first
number of a row, and what rounding takes from a mean is made up for.
"""

import numpy as np

from fastnn.kernels.codegen.compile import row_sum, serial
from fastnn.kernels.codegen.memory import claim, doubles, matrix, vector
from fastnn.kernels.layers.moments import COLUMNS, origin
from fastnn.kernels.machine.words import REFUSED
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
    spread = squares / x.size
    # Where both are infinite, the variance is infinite too, unless numbers are.
    var = spread - (off - off if spread == np.inf else off * off)
    var = 0.0 if var < 0 else var
    inverse = 1 / np.sqrt(var + eps)
    mean, rstd = real(pivot + off), real(inverse)
    shift = real(((pivot - mean) + off) * inverse)
    for j in range(x.size):
        y[j] = ((x[j] - mean) * rstd - shift) * gamma[j] + beta[j]
    return mean, rstd


@kernel("x.shape[0]")
def _normalise(x, gamma, beta, eps, y, mean, rstd, start, stop):
    for i in range(start, stop):
        mean[i], rstd[i] = _normalise_row(x[i], gamma, beta, eps, y[i])


@serial
def layernorm(x, gamma, beta, eps, y, mean, rstd, chunks, space):
    """Normalise each row by its own mean and variance."""
    if x.shape[1] == 0:
        return REFUSED
    _normalise(x, gamma, beta, eps, y, mean, rstd, chunks)
    return 0


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


@serial
def _column_bytes(itemsize):
    """Return the memory that a column has for two sums, in float64 and in the numbers' type."""
    return 2 * (8 + itemsize)


@kernel("x.shape[1]", COLUMNS)
def _parameter_gradients(dout, x, mean, rstd, rest, dgamma, dbeta, space, start, stop):
    n, width = x.shape[0], stop - start
    address = space + start * _column_bytes(x.itemsize)
    sums, part = doubles(address, 2, width), matrix(address + 2 * 8 * width, 2, width, x)
    sums[:] = 0
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
    for j in range(width):
        dgamma[start + j], dbeta[start + j] = sums[0, j], sums[1, j]


@serial
def layernorm_backward(dout, x, gamma, mean, rstd, dx, dgamma, dbeta, chunks, space):
    """Gradients through the rows' mean and variance."""
    n, d = x.shape
    if d == 0:
        return REFUSED
    columns = d * _column_bytes(x.itemsize)
    begin, wanted = claim(space, columns + n * x.itemsize)
    if wanted > 0:
        return wanted
    rest = vector(begin + columns, n, x)  # of the mean of xhat, what rounding of the mean has left
    _input_gradient(dout, x, gamma, mean, rstd, dx, rest, chunks)
    _parameter_gradients(dout, x, mean, rstd, rest, dgamma, dbeta, begin, chunks)
    return 0
