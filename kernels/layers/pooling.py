"""Max pooling of images, and two ways back."""

import numpy as np

from fastnn.kernels.codegen.compile import alone, inlined, serial
from fastnn.kernels.codegen.memory import address_of, vector
from fastnn.kernels.layers.largest import largest_of_windows
from fastnn.kernels.layers.places import fits
from fastnn.kernels.machine.words import REFUSED
from fastnn.kernels.threading.driver import kernel

__all__ = ["max_pool", "max_pool_backward", "max_pool_backward_shared"]


@serial
def _stand(images, results, pool_h, pool_w, stride):
    """Say whether windows of images stand where results have their places."""
    return fits(images.shape[2], pool_h, stride, 0, results.shape[2]) and fits(
        images.shape[3], pool_w, stride, 0, results.shape[3]
    )


@serial
def _are_places(argmax, count):
    """Say whether all are from 0 to the last place of a window."""
    for n in range(argmax.shape[0]):
        for c in range(argmax.shape[1]):
            for p in range(argmax.shape[2]):
                row, wrong = argmax[n, c, p], 0
                for q in range(row.size):
                    wrong |= (row[q] < 0) | (row[q] >= count)
                if wrong != 0:
                    return False
    return True


@kernel("x.shape[0] * x.shape[1]")
def _max_pool(x, pool_h, pool_w, stride, out, argmax, start, stop):
    c = x.shape[1]
    for unit in range(start, stop):
        plane, largest = x[unit // c, unit % c], out[unit // c, unit % c]
        places = argmax[unit // c, unit % c]
        for p in range(largest.shape[0]):
            largest_of_windows(
                plane.ctypes.data + p * stride * plane.strides[0], plane.strides[0],
                pool_h, pool_w, stride, largest.ctypes.data + p * largest.strides[0],
                places.ctypes.data + p * places.strides[0], largest.shape[1], x.dtype.type(0),
            )  # fmt: skip


@inlined
def _add_row(d, places, pool_w, stride, width, pixels):
    """Add a row of d at its places in rows of pixels, one behind the other.

    Division by a constant is a shift: so the commonest width has a loop of its own.
    """
    for q in range(d.size):
        i = np.int64(places[q]) // pool_w
        pixels[q * stride + i * (width - pool_w) + places[q]] += d[q]


@kernel("dx.shape[0] * dx.shape[1]", body=alone)
def _max_pool_backward(dout, argmax, pool_w, stride, dx, start, stop):
    c = dx.shape[1]
    for unit in range(start, stop):
        plane, d = dx[unit // c, unit % c], dout[unit // c, unit % c]
        places = argmax[unit // c, unit % c]
        plane[:] = 0
        width, pixels = plane.shape[1], vector(address_of(plane), plane.size, plane)
        for p in range(d.shape[0]):
            begin = p * stride * width
            if pool_w == 2:
                _add_row(d[p], places[p], 2, stride, width, pixels[begin:])
            else:
                _add_row(d[p], places[p], pool_w, stride, width, pixels[begin:])


@inlined
def _share_row(d, largest, upper, lower, to_upper, to_lower):
    """Share a row of d in windows of 2 x 2 pixels that meet: a loop of vectors."""
    zero, one = d.dtype.type(0), d.dtype.type(1)
    for q in range(d.size):
        left, right = 2 * q, 2 * q + 1
        a, b = upper[left] == largest[q], upper[right] == largest[q]
        c, e = lower[left] == largest[q], lower[right] == largest[q]
        count = (one if a else zero) + (one if b else zero)
        count += (one if c else zero) + (one if e else zero)
        share, nothing = d[q] / count, zero / count  # NaN where none is equal
        # Added to zero, as elsewhere: -0 becomes 0.
        to_upper[left] = zero + (share if a else nothing)
        to_upper[right] = zero + (share if b else nothing)
        to_lower[left] = zero + (share if c else nothing)
        to_lower[right] = zero + (share if e else nothing)


@kernel("dx.shape[0] * dx.shape[1]", body=alone)
def _max_pool_backward_shared(dout, x, y, pool_h, pool_w, stride, dx, start, stop):
    c = dx.shape[1]
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for unit in range(start, stop):
        plane, values = dx[unit // c, unit % c], x[unit // c, unit % c]
        d, largest = dout[unit // c, unit % c], y[unit // c, unit % c]
        plane[:] = 0
        if pool_h == 2 and pool_w == 2 and stride == 2:
            for p in range(d.shape[0]):
                i, j = 2 * p, 2 * p + 1
                _share_row(d[p], largest[p], values[i], values[j], plane[i], plane[j])
            continue
        for p in range(d.shape[0]):
            for q in range(d.shape[1]):
                count = zero
                for i in range(p * stride, p * stride + pool_h):
                    for j in range(q * stride, q * stride + pool_w):
                        count += one if values[i, j] == largest[p, q] else zero
                share, nothing = d[p, q] / count, zero / count  # NaN where none is equal
                for i in range(p * stride, p * stride + pool_h):
                    for j in range(q * stride, q * stride + pool_w):
                        plane[i, j] += share if values[i, j] == largest[p, q] else nothing


@serial
def max_pool(x, pool_h, pool_w, stride, out, argmax, chunks, _space):
    """Largest element of each window, and its place; NaN is the largest."""
    if not _stand(x, out, pool_h, pool_w, stride):
        return REFUSED
    return _max_pool(x, pool_h, pool_w, stride, out, argmax, chunks)


@serial
def max_pool_backward(dout, argmax, pool_h, pool_w, stride, dx, chunks, _space):
    """Add dout at the places of the largest elements."""
    if not _stand(dx, dout, pool_h, pool_w, stride) or not _are_places(argmax, pool_h * pool_w):
        return REFUSED
    return _max_pool_backward(dout, argmax, pool_w, stride, dx, chunks)


@serial
def max_pool_backward_shared(dout, x, y, pool_h, pool_w, stride, dx, chunks, _space):
    """Share dout among all elements that are equal to the largest."""
    if not _stand(x, dout, pool_h, pool_w, stride):
        return REFUSED
    return _max_pool_backward_shared(dout, x, y, pool_h, pool_w, stride, dx, chunks)
