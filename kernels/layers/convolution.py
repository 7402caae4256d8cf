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

from fastnn.kernels.codegen.compile import inlined, serial, shared
from fastnn.kernels.codegen.memory import (
    CACHE_LINE,
    address_of,
    claim,
    cube,
    is_absent,
    matrix,
    vector,
)
from fastnn.kernels.gemm.microkernel import ACCUMULATE
from fastnn.kernels.gemm.multiply import TRANSPOSED_A, scratch_size
from fastnn.kernels.gemm.packing import pack_a_columns, pack_transposed, packed_size, panels
from fastnn.kernels.gemm.products import multiply_all
from fastnn.kernels.layers.activations import sum_of
from fastnn.kernels.layers.columns import collect, deliver, move
from fastnn.kernels.layers.places import fits
from fastnn.kernels.machine.words import REFUSED
from fastnn.kernels.threading.driver import kernel
from fastnn.kernels.tuning import by_itemsize

__all__ = ["convolution", "convolution_backward"]

_columns_length, _strips = by_itemsize("columns_length"), by_itemsize("strips")
_strip_bytes, _fewest_places = by_itemsize("strip_bytes"), by_itemsize("fewest_places")
_spare_places, _slot_count = by_itemsize("spare_places"), by_itemsize("slots")
_slot_places, _slot_elements = by_itemsize("slot_places"), by_itemsize("slot_elements")

BACKWARD, INPUT = 1, 2  # of the form of a call
MULTIPLY, SUM = 1, 2  # steps


@shared
def _plan(shape, filters, places, itemsize):
    """Return how to cut: channels of a group, images and rows of a strip, number of slots."""
    n, c, _, _ = shape
    f, _, fh, fw = filters
    group = min(c, max(1, _columns_length(itemsize) // (fh * fw)))
    room = _strip_bytes(itemsize) // (itemsize * (group * fh * fw + f))
    most = pack_a_columns(itemsize) - _spare_places(itemsize)
    room = min(most, max(_fewest_places(itemsize), room))
    strips = (places[0] * places[1] + room - 1) // room
    rows = max(1, (places[0] + strips - 1) // strips)
    blocks = (n + _strips(itemsize) - 1) // _strips(itemsize)
    together = max(1, min(room // (places[0] * places[1]), blocks))
    most = _slot_elements(itemsize) // (f * (c * fh * fw + 1))
    worth = n * places[0] * places[1] // _slot_places(itemsize)
    slots = min(n, _slot_count(itemsize), worth, most)
    return group, together, rows, max(1, slots)


@shared
def _sizes(shape, filters, places, itemsize, form):
    """Return the workspace's parts.

    Sizes of columns, of rows, of rows packed, of another matrix packed, and of slots; the step
    from row to row.
    """
    group, together, rows, slots = _plan(shape, filters, places, itemsize)
    f, c, fh, fw = filters
    count, deep = together * rows * places[1], group * fh * fw
    # An odd number of cache lines: rows do not displace each other.
    step = ((count * itemsize + CACHE_LINE - 1) // CACHE_LINE | 1) * CACHE_LINE // itemsize
    scratch = max(scratch_size(f, deep, count, itemsize), scratch_size(deep, f, count, itemsize))
    packed = of_slots = 0
    if form & BACKWARD:
        packed, of_slots = packed_size(count, f, itemsize), slots * f * (c * fh * fw + 1)
        scratch = max(scratch, scratch_size(deep, count, f, itemsize))
    return deep * step, f * step, packed, scratch, of_slots, step


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
        move(x, columns, images, rows, channels, window, False)
        a, col = filters[:, first:last], columns[: last - first, :count]
        flags = ACCUMULATE if c > 0 else 0
        multiply_all(product, a, col, packed[:0], results[:, :count], flags, scratch)
    deliver(results, b, out, images, (rows[0] * across, rows[1] * across))


@serial
def _backward(x, filters, dout, dx, part, window, memory, product, form, channels, images, rows):
    """Add to dW^T, with the first channels to db, and to dx what some rows of places give."""
    columns, gradients, packed, scratch = memory
    area, across = window[0] * window[1], window[4]
    first, last = channels[0] * area, channels[1] * area
    d = collect(dout, gradients, images, (rows[0] * across, rows[1] * across))
    a, col = filters[:, first:last], columns[: last - first, : d.shape[1]]
    if first == 0:
        for f in range(d.shape[0]):
            part[-1, f] += sum_of(vector(d.ctypes.data + f * d.strides[0], d.shape[1], d))
    move(x, columns, images, rows, channels, window, False)
    pack_transposed(d, packed, 0, panels(d, d.shape[0]))
    multiply_all(product, col, d, packed, part[first:last], ACCUMULATE, scratch)
    if form & INPUT:
        multiply_all(product, a, d, packed[:0], col, TRANSPOSED_A, scratch)
        move(dx, columns, images, rows, channels, window, True)


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


@inlined
def _memory(work, sizes, filters, thread):
    """Return what a thread works in: columns, results or gradients, B packed, scratch."""
    columns, results, packed, scratch, _, step = sizes
    mine = columns + results + packed + scratch
    own = work[thread * mine : (thread + 1) * mine]
    begin, size = address_of(own), own.itemsize
    return (
        matrix(begin, columns // step, step, own),
        matrix(begin + columns * size, filters, step, own),
        own[columns + results : mine - scratch],
        own[mine - scratch :],
    )


@inlined
def _slots(work, sizes, filters, length, pieces):
    """Return the slots, which stand behind the memory of all threads: (slots, length, filters)."""
    columns, results, packed, scratch, of_slots, _ = sizes
    begin = address_of(work) + pieces * (columns + results + packed + scratch) * work.itemsize
    return cube(begin, of_slots // (filters * length), length, filters, work)


@inlined
def _forward_units(x, filters, b, out, down, window, memory, product, cut, start, stop, pieces):
    """Compute some pieces of out; a unit is a strip of some images."""
    group, together, rows, _ = cut
    n = x.shape[0]
    blocks, strips = (n + together - 1) // together, (down + rows - 1) // rows
    units = blocks * strips
    for unit in range(units * start // pieces, units * stop // pieces):
        images, there = _block(together, n, unit // strips), _block(rows, down, unit % strips)
        _forward(x, filters, b, out, window, memory, product, group, images, there)


@inlined
def _backward_units(
    x, filters, dout, dx, parts, down, window, memory, product, form, cut, start, stop, pieces
):
    """Compute some pieces of the slots and of dx; a unit is a slot of a group of channels."""
    group, together, rows, slots = cut
    n, c, area = x.shape[0], x.shape[1], window[0] * window[1]
    blocks, strips = (n + together - 1) // together, (down + rows - 1) // rows
    groups = (c + group - 1) // group
    units = slots * groups
    for unit in range(units * start // pieces, units * stop // pieces):
        slot, channels = unit // groups, _block(group, c, unit % groups)
        part = parts[slot]
        part[channels[0] * area : channels[1] * area] = 0
        if channels[0] == 0:
            part[c * area] = 0
        for block in range(blocks * slot // slots, blocks * (slot + 1) // slots):
            images = _block(together, n, block)
            if form & INPUT:
                dx[images[0] : images[1], channels[0] : channels[1]] = 0
            for strip in range(strips):
                _backward(
                    x, filters, dout, dx, part, window, memory, product, form, channels,
                    images, _block(rows, down, strip),
                )  # fmt: skip


# All calls go through one compiled function: it takes some seconds to compile.
@kernel("pieces")
def _layer(x, W, v, y, dx, dW, down, stride, pad, work, product, form, steps, pieces, start, stop):
    """Do steps of a call: v is the bias or its gradient, y out or dout, down rows of places."""
    c = x.shape[1]
    f, _, fh, fw = W.shape
    across, deep = y.shape[2] // down, c * fh * fw
    plan = x.shape, W.shape, (down, across), W.itemsize
    cut, sizes = _plan(*plan), _sizes(*plan, form)
    window = fh, fw, stride, pad, across
    filters = matrix(address_of(W), f, deep, W)
    parts = _slots(work, sizes, f, deep + 1, pieces)
    if steps & MULTIPLY:
        memory = _memory(work, sizes, f, start)
        if form & BACKWARD:
            _backward_units(
                x, filters, y, dx, parts, down, window, memory, product, form, cut,
                start, stop, pieces,
            )  # fmt: skip
        else:
            _forward_units(
                x, filters, v, y, down, window, memory, product, cut, start, stop, pieces
            )
    if steps & SUM:
        first, last = f * start // pieces, f * stop // pieces
        _add_slots(parts, matrix(address_of(dW), f, deep, dW), v, first, last)


@serial
def _call(x, W, v, y, dx, dW, stride, pad, form, chunks, space, product):
    """Do all steps, in one piece or in several; return how much workspace it would need, or 0."""
    n, f, down, across = y.shape
    fit = fits(x.shape[2], W.shape[2], stride, pad, down) and W.size > 0
    if not (fit and fits(x.shape[3], W.shape[3], stride, pad, across)):
        return REFUSED
    columns, results, packed, scratch, of_slots, _ = _sizes(
        x.shape, W.shape, (down, across), W.itemsize, form
    )
    size = chunks * (columns + results + packed + scratch) + of_slots
    begin, wanted = claim(space, size * W.itemsize)
    if wanted > 0:
        return wanted
    work, rows = vector(begin, size, W), cube(address_of(y), n, f, down * across, y)
    args = x, W, v, rows, dx, dW, down, stride, pad, work, product, form
    if not form & BACKWARD:
        _layer(*args, MULTIPLY, chunks, chunks)
    elif chunks == 1:
        _layer(*args, MULTIPLY | SUM, 1, 1)
    else:
        _layer(*args, MULTIPLY, chunks, chunks)
        _layer(*args, SUM, chunks, chunks)
    return 0


# Where a call has no array of some kind, another of the same type stands in for it.


@serial
def convolution(x, W, b, stride, pad, out, chunks, space, product):
    """out = patches of x times W^T, + b."""
    return _call(x, W, b, out, x, W, stride, pad, 0, chunks, space, product)


@serial
def convolution_backward(dout, x, W, stride, pad, dx, dW, db, chunks, space, product):
    """Gradients of a convolution; dx may be absent, and is then not computed."""
    form = BACKWARD if is_absent(dx) else BACKWARD | INPUT
    return _call(x, W, db, dout, dx, dW, stride, pad, form, chunks, space, product)
