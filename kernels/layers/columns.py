"""Columns of pixels: what filters see of images, copied into a workspace, and added back to images.

A column holds what a filter sees of an image at one place. Images are (N, C, H, W), output images
(N, F, places); `window` is a tuple of a filter's height and width, stride, padding, and the number
of places in a row.
"""

from __future__ import annotations

from fastnn.kernels.codegen.compile import alone, serial
from fastnn.kernels.layers.blocks import add_block, copy_block


@serial
def _inside(size, offset, stride, first, last):
    """Return which places p of a range have p stride - offset in range(size), as a range."""
    low = min(max((max(0, offset) + stride - 1) // stride, first), last)
    return low, max(min((max(0, size + offset) + stride - 1) // stride, last), low)


@alone
def move(x, columns, images, rows, channels, window, back):
    """Write the columns of some images, rows of places and channels; `back` adds them to x."""
    height, width, stride, pad, across = window
    h, w = x.shape[2:]
    zero, size = x.dtype.type(0), x.itemsize
    count = (rows[1] - rows[0]) * across
    # Channels are innermost: what was added to a pixel has then been written when it is read.
    for i in range(height):
        top, bottom = _inside(h, pad - i, stride, rows[0], rows[1])
        for j in range(width):
            left, right = _inside(w, pad - j, stride, 0, across)
            high, wide = bottom - top, right - left
            y, at, to = top * stride + i - pad, left * stride + j - pad, (top - rows[0]) * across
            for c in range(channels[0], channels[1]):
                column = columns[((c - channels[0]) * height + i) * width + j]
                for n in range(images[0], images[1]):
                    run = column[(n - images[0]) * count : (n - images[0] + 1) * count]
                    if high * wide < count and not back:
                        run[:] = 0
                    if stride == 1:
                        pixels = x.ctypes.data + n * x.strides[0] + c * x.strides[1]
                        pixels += y * x.strides[2] + at * size
                        places, of_x, of_run = run.ctypes.data, x.strides[2], across * size
                        places += (to + left) * size
                        if back:
                            add_block(places, of_run, pixels, of_x, high, wide, zero)
                        else:
                            copy_block(pixels, of_x, places, of_run, high, wide, zero)
                    else:
                        for p in range(high):
                            first = to + p * across + left
                            for q in range(wide):
                                if back:
                                    x[n, c, y + p * stride, at + q * stride] += run[first + q]
                                else:
                                    run[first + q] = x[n, c, y + p * stride, at + q * stride]


@alone
def collect(out, rows, images, places):
    """Return some places of some images of out, (N, F, places), as a row for each filter."""
    zero, size = out.dtype.type(0), out.itemsize
    left, right = places
    if images[1] - images[0] == 1:
        return out[images[0], :, left:right]
    count = right - left
    for n in range(images[0], images[1]):
        source = out.ctypes.data + n * out.strides[0] + left * size
        to = rows.ctypes.data + (n - images[0]) * count * size
        copy_block(source, out.strides[1], to, rows.strides[0], out.shape[1], count, zero)
    return rows[:, : (images[1] - images[0]) * count]


@alone
def deliver(rows, b, out, images, places):
    """Write rows + b to some places of some images of out, (N, F, places)."""
    count = places[1] - places[0]
    for n in range(images[0], images[1]):
        first = (n - images[0]) * count
        for f in range(out.shape[1]):
            row, to, bias = rows[f, first : first + count], out[n, f, places[0] : places[1]], b[f]
            for p in range(count):
                to[p] = row[p] + bias
