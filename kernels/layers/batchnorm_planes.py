"""Batch normalisation of one channel of some images: sums over its planes, and what is written.

Images are (N, C, S), pixels flattened.
"""

import numpy as np

from fastnn.kernels.codegen.compile import row_sum, serial
from fastnn.kernels.layers import batchnorm_pixels as pixels
from fastnn.kernels.layers.moments import origin


@row_sum
def _sums(x, c, first, last, pivot):
    total, squares = 0.0, 0.0
    for i in range(first, last):
        plane = x[i, c]
        for s in range(plane.size):
            off = np.float64(plane[s]) - pivot
            total += off
            squares += off * off
    return total, squares


@serial
def moments(x, c, first, last, sums):
    """Write the sums of pixels, and of their squares, as differences from the first of all."""
    sums[0] = origin(x[0, c, 0])
    sums[1], sums[2] = _sums(x, c, first, last, sums[0])


@serial
def normalise(x, c, first, last, mu, slope, shift, low, y):
    """Write (x - mu) slope + shift, not below `low`."""
    for i in range(first, last):
        plane, out = x[i, c], y[i, c]
        for s in range(plane.size):
            value = (plane[s] - mu) * slope + shift
            out[s] = low if value <= low else value


@serial
def gradient_sums(dout, x, y, masked, c, first, last, mu, r, sums):
    """Write the sums of dout, dout xhat and xhat; `masked` says that dout passes where y > 0."""
    pixels.gradient_sums(
        dout[first, c].ctypes.data, dout.strides[0], x[first, c].ctypes.data, x.strides[0],
        y[first, c].ctypes.data if masked else 0, y.strides[0], last - first, x.shape[2],
        sums.ctypes.data, sums.strides[0], mu, r,
    )  # fmt: skip


@serial
def gradient(dout, x, y, masked, c, first, last, mu, r, slope, along, shift, dx):
    """Write slope (dout - xhat along - shift); `masked` as in the sums."""
    zero = x.dtype.type(0)
    for i in range(first, last):
        plane, row, out, target = x[i, c], dout[i, c], y[i, c], dx[i, c]
        for s in range(plane.size):
            d = zero if masked & (out[s] <= zero) else row[s]
            target[s] = slope * ((d - shift) - (plane[s] - mu) * r * along)


@serial
def images(x, blocks, block):
    """Return the first image of a block, and the first after it."""
    n = x.shape[0]
    return n * block // blocks, n * (block + 1) // blocks
