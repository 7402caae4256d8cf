"""Convolution of images: products of the filters with columns of pixels, and gradients.

A column holds what a filter sees of an image at one place. There is never a matrix of all
columns: those of a strip, some rows of places, stand in a workspace, few enough to stay in the
second-level cache. Where images are small, a strip is of several.

    forward           out = W columns + b
    weight gradient   dW^T = columns dout^T, in slots, which a second step adds up
    input gradient    columns = W^T dout, added to the pixels that they are of

Channels go in groups, so that columns are not too long. The forward pass is cut into strips, the
backward pass into slots, which are some of the images, and groups. All that depends on shapes
alone, and so does the order of each sum.
"""

import functools

from numba.extending import register_jitable

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import vector
from fastnn.kernels.gemm import workspace
from fastnn.kernels.gemm.microkernel import ACCUMULATE
from fastnn.kernels.gemm.multiply import (
    TRANSPOSED_A,
    WIDE_A,
    pack_transposed,
    packed_size,
    panels,
    scratch_size,
)
from fastnn.kernels.gemm.products import multiply_all, product_of
from fastnn.kernels.layers.activations import sum_of
from fastnn.kernels.layers.blocks import add_block, copy_block
from fastnn.kernels.threading.driver import kernel

__all__ = ["convolution", "convolution_backward"]

LINE = 64  # bytes of a cache line

# The length of columns from which on channels go in groups; bytes of a strip, and how many places
# it may have (from gemm.WIDE_A on the filters would be packed anew for each).
LONG, STRIP_BYTES, FEWEST_PLACES, MOST_PLACES = 256, 3 << 17, 64, WIDE_A - 32
# Images are put together as long as there are so many strips to share out.
STRIPS = 16
# Slots: their number, how many places are worth one, and elements of all.
SLOTS, SLOT_PLACES, SLOT_ELEMENTS = 16, 256, 1 << 22

BACKWARD, INPUT = 1, 2  # of the form of a call
MULTIPLY, SUM = 1, 2  # steps


@register_jitable
def _plan(shape, filters, places, itemsize):
    """Return how to cut: channels of a group, images and rows of a strip, number of slots."""
    n, c, _, _ = shape
    f, _, fh, fw = filters
    group = min(c, max(1, LONG // (fh * fw)))
    room = STRIP_BYTES // (itemsize * (group * fh * fw + f))
    room = min(MOST_PLACES, max(FEWEST_PLACES, room))
    strips = (places[0] * places[1] + room - 1) // room
    rows = max(1, (places[0] + strips - 1) // strips)
    together = max(1, min(room // (places[0] * places[1]), (n + STRIPS - 1) // STRIPS))
    weights = f * (c * fh * fw + 1)
    slots = min(n, SLOTS, n * places[0] * places[1] // SLOT_PLACES, SLOT_ELEMENTS // weights)
    return group, together, rows, max(1, slots)


@register_jitable
def _sizes(shape, filters, places, itemsize, form):
    """Return the workspace's parts.

    Sizes of columns, of rows, of rows packed, of another matrix packed, and of slots; the step
    from row to row.
    """
    group, together, rows, slots = _plan(shape, filters, places, itemsize)
    f, c, fh, fw = filters
    count, deep = together * rows * places[1], group * fh * fw
    # An odd number of cache lines: rows do not displace each other.
    step = ((count * itemsize + LINE - 1) // LINE | 1) * LINE // itemsize
    scratch = max(scratch_size(f, deep, count), scratch_size(deep, f, count))
    packed = of_slots = 0
    if form & BACKWARD:
        packed, of_slots = packed_size(count, f, itemsize), slots * f * (c * fh * fw + 1)
        scratch = max(scratch, scratch_size(deep, count, f))
    return deep * step, f * step, packed, scratch, of_slots, step


@serial
def _inside(size, offset, stride, first, last):
    """Return which places p of a range have p stride - offset in range(size), as a range."""
    low = min(max((max(0, offset) + stride - 1) // stride, first), last)
    return low, max(min((max(0, size + offset) + stride - 1) // stride, last), low)


@serial
def _move(x, columns, images, rows, channels, window, back):
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


@serial
def _collect(out, rows, images, places):
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


@serial
def _deliver(rows, b, out, images, places):
    """Write rows + b to some places of some images of out, (N, F, places)."""
    count = places[1] - places[0]
    for n in range(images[0], images[1]):
        first = (n - images[0]) * count
        for f in range(out.shape[1]):
            row, to, bias = rows[f, first : first + count], out[n, f, places[0] : places[1]], b[f]
            for p in range(count):
                to[p] = row[p] + bias


@serial
def _block(size, total, index):
    """Return where a block of that size begins and ends."""
    return index * size, min(total, (index + 1) * size)


@serial
def _forward(x, filters, b, out, window, memory, product, group, images, rows):
    """Compute some rows of places of some images."""
    columns, results, packed, scratch = memory
    area, across = window[0] * window[1], window[4]
    count = (images[1] - images[0]) * (rows[1] - rows[0]) * across
    for c in range(0, x.shape[1], group):
        channels = c, min(x.shape[1], c + group)
        first, last = c * area, channels[1] * area
        _move(x, columns, images, rows, channels, window, False)
        a, col = filters[:, first:last], columns[: last - first, :count]
        flags = ACCUMULATE if c > 0 else 0
        multiply_all(product, a, col, packed[:0], results[:, :count], flags, scratch)
    _deliver(results, b, out, images, (rows[0] * across, rows[1] * across))


@serial
def _backward(x, filters, dout, dx, part, window, memory, product, form, channels, images, rows):
    """Add to dW^T, with the first channels to db, and to dx what some rows of places give."""
    columns, gradients, packed, scratch = memory
    area, across = window[0] * window[1], window[4]
    first, last = channels[0] * area, channels[1] * area
    d = _collect(dout, gradients, images, (rows[0] * across, rows[1] * across))
    a, col = filters[:, first:last], columns[: last - first, : d.shape[1]]
    if first == 0:
        for f in range(d.shape[0]):
            part[-1, f] += sum_of(vector(d.ctypes.data + f * d.strides[0], d.shape[1], d))
    _move(x, columns, images, rows, channels, window, False)
    pack_transposed(d, packed, 0, panels(d, d.shape[0]))
    multiply_all(product, col, d, packed, part[first:last], ACCUMULATE, scratch)
    if form & INPUT:
        multiply_all(product, a, d, packed[:0], col, TRANSPOSED_A, scratch)
        _move(dx, columns, images, rows, channels, window, True)


@serial
def _add_slots(parts, dW, db, first, last):
    """Add up dW^T, and its last row, db, for some filters."""
    slots, k, _ = parts.shape
    for f in range(first, last):
        db[f] = 0
    for slot in range(slots):
        for f in range(first, last):
            db[f] += parts[slot, k - 1, f]
        for i in range(k - 1):
            for f in range(first, last):
                dW[f, i] = parts[slot, i, f] + (dW[f, i] if slot > 0 else 0)


# All calls go through one compiled function: it takes some seconds to compile.
@kernel("pieces")
def _layer(x, W, v, y, dx, dW, down, stride, pad, work, product, form, steps, pieces, start, stop):
    """Do steps of a call: v is the bias or its gradient, y out or dout, down rows of places."""
    n, c, _, _ = x.shape
    f, _, fh, fw = W.shape
    across, deep = y.shape[2] // down, c * fh * fw
    plan = x.shape, W.shape, (down, across), W.itemsize
    group, together, rows, slots = _plan(*plan)
    columns, results, packed, scratch, of_slots, step = _sizes(*plan, form)
    groups, blocks = (c + group - 1) // group, (n + together - 1) // together
    strips = (down + rows - 1) // rows
    window = fh, fw, stride, pad, across
    filters = W.reshape((f, deep))
    work = work[-work.ctypes.data // W.itemsize % (LINE // W.itemsize) :]
    mine = columns + results + packed + scratch
    parts = work[pieces * mine : pieces * mine + of_slots]
    parts = parts.reshape((of_slots // (f * (deep + 1)), deep + 1, f))
    if steps & MULTIPLY:
        work = work[start * mine : (start + 1) * mine]
        memory = (
            work[:columns].reshape((columns // step, step)),
            work[columns : columns + results].reshape((f, step)),
            work[columns + results : mine - scratch],
            work[mine - scratch :],
        )
        units = slots * groups if form & BACKWARD else blocks * strips
        for unit in range(units * start // pieces, units * stop // pieces):
            if form & BACKWARD:
                slot, channels = unit // groups, _block(group, c, unit % groups)
                part = parts[slot]
                part[channels[0] * fh * fw : channels[1] * fh * fw] = 0
                if channels[0] == 0:
                    part[deep] = 0
                for block in range(blocks * slot // slots, blocks * (slot + 1) // slots):
                    images = _block(together, n, block)
                    if form & INPUT:
                        dx[images[0] : images[1], channels[0] : channels[1]] = 0
                    for s in range(strips):
                        there = _block(rows, down, s)
                        _backward(
                            x, filters, y, dx, part, window, memory, product, form, channels,
                            images, there,
                        )  # fmt: skip
            else:
                images = _block(together, n, unit // strips)
                there = _block(rows, down, unit % strips)
                _forward(x, filters, v, y, window, memory, product, group, images, there)
    if steps & SUM:
        first, last = f * start // pieces, f * stop // pieces
        _add_slots(parts, dW.reshape((f, deep)), v, first, last)


@functools.lru_cache(1024)
def _workspace_size(shape, filters, places, itemsize, form, pieces):
    *mine, slots, _ = _sizes(shape, filters, places, itemsize, form)
    return pieces * sum(mine) + slots + LINE // itemsize


def _call(x, W, v, y, dx, dW, stride, pad, form, chunks):
    n, f, down, across = y.shape
    y = y.reshape(n, f, down * across)
    size = _workspace_size(x.shape, W.shape, (down, across), W.itemsize, form, chunks)
    work = workspace.take(size, W.dtype)
    args = x, W, v, y, dx, dW, down, stride, pad, work, product_of(W.dtype), form
    if not form & BACKWARD:
        _layer(*args, MULTIPLY, chunks, chunks)
    elif chunks == 1:
        _layer(*args, MULTIPLY | SUM, 1, 1)
    else:
        _layer(*args, MULTIPLY, chunks, chunks)
        _layer(*args, SUM, chunks, chunks)
    workspace.give_back(work)


# Where a call has no array of some kind, another of the same type stands in for it.


def convolution(x, W, b, stride, pad, out, chunks):
    """out = patches of x times W^T, + b."""
    _call(x, W, b, out, x, W, stride, pad, 0, chunks)


def convolution_backward(dout, x, W, stride, pad, dx, dW, db, chunks):
    """Gradients of a convolution; dx may be None, and is then not computed."""
    if dx is None:
        _call(x, W, db, dout, x, dW, stride, pad, BACKWARD, chunks)
    else:
        _call(x, W, db, dout, dx, dW, stride, pad, BACKWARD | INPUT, chunks)
