"""Patches of images, one a row, and their way back."""

from fastnn.kernels.codegen.compile import alone, serial
from fastnn.kernels.layers.blocks import add_block, copy_block
from fastnn.kernels.layers.places import count, is_product
from fastnn.kernels.machine.words import REFUSED
from fastnn.kernels.threading.driver import kernel

__all__ = ["col2im", "im2col"]


@serial
def _inside(at, filter_size, size):
    """Return which of a filter's elements lie in the image, where its first one is at `at`."""
    first = min(max(0, -at), filter_size)
    return first, max(min(filter_size, size - at), first)


@kernel("x.shape[0] * places[0]", body=alone)
def _im2col(x, places, filter_h, filter_w, stride, pad, out, start, stop):
    """Write the rows of some rows of places."""
    _, c, h, w = x.shape
    oh, ow = places
    zero, size = x.dtype.type(0), x.itemsize
    for unit in range(start, stop):
        n, y = unit // oh, unit % oh * stride - pad
        top, bottom = _inside(y, filter_h, h)
        for q in range(ow):
            at = q * stride - pad
            left, right = _inside(at, filter_w, w)
            patch = out[unit * ow + q]
            if (bottom - top) * (right - left) < filter_h * filter_w:
                patch[:] = 0
            source = (
                x.ctypes.data + n * x.strides[0] + (y + top) * x.strides[2] + (at + left) * size
            )
            to = patch.ctypes.data + (top * filter_w + left) * size
            for channel in range(c):
                copy_block(
                    source + channel * x.strides[1], x.strides[2],
                    to + channel * filter_h * filter_w * size, filter_w * size,
                    bottom - top, right - left, zero,
                )  # fmt: skip


@kernel("out.shape[0]")
def _col2im(col, places, filter_h, filter_w, stride, pad, out, start, stop):
    """Add up some images."""
    _, c, h, w = out.shape
    oh, ow = places
    zero, size = out.dtype.type(0), out.itemsize
    of_channel = filter_h * filter_w * size
    for n in range(start, stop):
        out[n] = 0
        # Upwards and to the left: what is added to a pixel comes in the reference's order, row by
        # row of the filter and, in these, from left to right.
        for p in range(oh - 1, -1, -1):
            y = p * stride - pad
            top, bottom = _inside(y, filter_h, h)
            for q in range(ow - 1, -1, -1):
                x = q * stride - pad
                left, right = _inside(x, filter_w, w)
                patch = col.ctypes.data + ((n * oh + p) * ow + q) * col.strides[0]
                source = patch + (top * filter_w + left) * size
                to = out.ctypes.data + n * out.strides[0] + ((y + top) * w + x + left) * size
                for channel in range(c):
                    add_block(
                        source + channel * of_channel, filter_w * size,
                        to + channel * out.strides[1], w * size,
                        bottom - top, right - left, zero,
                    )  # fmt: skip


@serial
def _places(images, col, filter_h, filter_w, stride, pad):
    """Return how many places of a filter are below and beside each other, 0 if there are none.

    Also if they are not those of the patches.
    """
    n, c, h, w = images.shape
    oh, ow = count(h, filter_h, stride, pad), count(w, filter_w, stride, pad)
    rows, columns = col.shape
    if not (is_product(rows, n, oh, ow) and is_product(columns, c, filter_h, filter_w)):
        return 0, 0
    return oh, ow


@serial
def im2col(x, filter_h, filter_w, stride, pad, out, chunks, _space):
    """out = a row (c, i, j) for each place (n, oh, ow) of a filter; zero in the padding."""
    places = _places(x, out, filter_h, filter_w, stride, pad)
    if min(places) == 0:
        return REFUSED
    return _im2col(x, places, filter_h, filter_w, stride, pad, out, chunks)


@serial
def col2im(col, filter_h, filter_w, stride, pad, out, chunks, _space):
    """out = for each pixel the sum of its values in all patches."""
    places = _places(out, col, filter_h, filter_w, stride, pad)
    if min(places) == 0:
        return REFUSED
    return _col2im(col, places, filter_h, filter_w, stride, pad, out, chunks)
