"""Batch normalisation of one channel of some images: sums over its planes, and what is written.

Images are (N, C, S), pixels flattened.
"""

from fastnn.kernels.codegen.compile import row_sum, serial
from fastnn.kernels.layers.moments import join, origin, shares
from fastnn.kernels.tuning import COMMON

# Pixels of a set: planes smaller than this are taken together.
SET = COMMON.norm_set


@row_sum
def _sum(x, c, first, last, pivot):
    total = x.dtype.type(0)
    for i in range(first, last):
        plane = x[i, c]
        for s in range(plane.size):
            total += plane[s] - pivot
    return total


@row_sum
def _sum_of_squares(x, c, first, last, mu):
    total = x.dtype.type(0)
    for i in range(first, last):
        plane = x[i, c]
        for s in range(plane.size):
            total += (plane[s] - mu) * (plane[s] - mu)
    return total


@serial
def moments(x, c, first, last):
    """Return the sums of pixels less the first, and of squared distances from the mean."""
    real = x.dtype.type
    pivot = origin(x[0, c, 0], real(0))
    total, squares = real(0), real(0)
    size = x.shape[2]
    together = max(1, SET // size)
    for i in range(first, last, together):
        end = min(last, i + together)
        count = (end - i) * size
        inverse, share, weight = shares((i - first) * size, count)
        added = _sum(x, c, i, end, pivot)
        spread = _sum_of_squares(x, c, i, end, pivot + added * real(share))
        total, squares = join(
            total, squares, real(inverse), added, spread, real(share), real(weight)
        )
    return total, squares


@serial
def normalise(x, c, first, last, mu, scale, shift, low, y):
    """Write scale (x - mu) + shift, not below `low`."""
    for i in range(first, last):
        plane, out = x[i, c], y[i, c]
        for s in range(plane.size):
            value = (plane[s] - mu) * scale + shift
            out[s] = low if value <= low else value


@row_sum
def gradient_sums(dout, x, y, masked, c, first, last, mu, r):
    """Return the sums of dout and of dout xhat; `masked` says that dout passes where y > 0."""
    zero = x.dtype.type(0)
    sum_d, sum_dx = zero, zero
    for i in range(first, last):
        plane, row, out = x[i, c], dout[i, c], y[i, c]
        for s in range(plane.size):
            d = zero if masked & (out[s] <= zero) else row[s]
            sum_d += d
            sum_dx += d * ((plane[s] - mu) * r)
    return sum_d, sum_dx


@serial
def gradient(dout, x, y, masked, c, first, last, gamma, mean, rstd, dx, dgamma, dbeta):
    """Write gamma rstd (dout - (dbeta + xhat dgamma) / n); `masked` as in the sums."""
    zero = x.dtype.type(0)
    inverse = x.dtype.type(1 / (x.shape[0] * x.shape[2]))
    mu, scale, mean_d = mean[c], gamma[c] * rstd[c], dbeta[c] * inverse
    along = dgamma[c] * inverse * rstd[c]
    for i in range(first, last):
        plane, row, out, target = x[i, c], dout[i, c], y[i, c], dx[i, c]
        for s in range(plane.size):
            d = zero if masked & (out[s] <= zero) else row[s]
            target[s] = scale * ((d - mean_d) - (plane[s] - mu) * along)


@serial
def images(x, blocks, block):
    """Return the first image of a block, and the first after it."""
    n = x.shape[0]
    return n * block // blocks, n * (block + 1) // blocks
