"""Max pooling of images, and two ways back."""

from fastnn.kernels.layers.largest import largest_of_windows
from fastnn.kernels.threading.driver import kernel

__all__ = ["max_pool", "max_pool_backward", "max_pool_backward_shared"]


@kernel("x.shape[0] * x.shape[1]")
def max_pool(x, pool_h, pool_w, stride, out, argmax, start, stop):
    """Largest element of each window, and its place; NaN is the largest."""
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


@kernel("dx.shape[0] * dx.shape[1]")
def max_pool_backward(dout, argmax, pool_h, pool_w, stride, dx, start, stop):
    """Add dout at the places of the largest elements."""
    c = dx.shape[1]
    for unit in range(start, stop):
        plane, d = dx[unit // c, unit % c], dout[unit // c, unit % c]
        places = argmax[unit // c, unit % c]
        plane[:] = 0
        for p in range(d.shape[0]):
            for q in range(d.shape[1]):
                i, j = places[p, q] // pool_w, places[p, q] % pool_w
                plane[p * stride + i, q * stride + j] += d[p, q]


@kernel("dx.shape[0] * dx.shape[1]")
def max_pool_backward_shared(dout, x, y, pool_h, pool_w, stride, dx, start, stop):
    """Share dout among all elements that are equal to the largest."""
    c = dx.shape[1]
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for unit in range(start, stop):
        plane, values = dx[unit // c, unit % c], x[unit // c, unit % c]
        d, largest = dout[unit // c, unit % c], y[unit // c, unit % c]
        plane[:] = 0
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
