"""Mean and variance of batch normalisation, put together from sums over parts of a batch."""

import numpy as np

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import CACHE_LINE
from fastnn.kernels.threading.driver import kernel

# Columns per cut of a kernel that sums over rows: a cache line of the smaller type.
COLUMNS = CACHE_LINE // np.dtype(np.float32).itemsize


@serial
def shares(before, count):
    """Return 1 / before (0 without any), 1 / count, and the weight of their means' distance."""
    return 1 / before if before else 0.0, 1 / count, before * count / (before + count)


@serial
def join(total, squares, inverse, added, spread, share, weight):
    """Join the sums, and the squared distances from the mean, of two sets of samples.

    By the formula of Chan, Golub and LeVeque (1979).
    """
    off = added * share - total * inverse
    # In this order: without samples before the weight is zero, and off^2 may be infinite.
    return total + added, squares + (spread + off * weight * off)


@serial
def origin(value, zero):
    """Return what sums are taken from: the value, or 0 where it is not finite."""
    return value if value - value == zero else zero


@serial
def finish(n, first, running_mean, running_var, momentum, eps, mean, rstd):
    """Turn the sums in `mean` and `rstd` into what their names say."""
    real = mean.dtype.type
    one, old, new, e = real(1), real(momentum), real(1 - momentum), real(eps)
    count, zero = real(n), real(0)
    for j in range(mean.size):
        mu, var = origin(first[j], zero) + mean[j] / count, rstd[j] / count
        mean[j], rstd[j] = mu, one / np.sqrt(var + e)
        running_mean[j] = old * running_mean[j] + new * mu
        running_var[j] = old * running_var[j] + new * var


@kernel("rstd.size", COLUMNS)
def deviations(running_var, eps, rstd, start, stop):
    """Write the reciprocal standard deviations of the running variances."""
    one, e = rstd.dtype.type(1), rstd.dtype.type(eps)
    for j in range(start, stop):
        rstd[j] = one / np.sqrt(running_var[j] + e)
