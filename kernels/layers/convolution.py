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

from fastnn.kernels.codegen.compile import alone, inlined, serial
from fastnn.kernels.codegen.memory import (
    address_of,
    claim,
    cube,
    is_absent,
    matrix,
    vector,
)
from fastnn.kernels.gemm.packing import pack_transposed
from fastnn.kernels.gemm.product import multiply_all
from fastnn.kernels.gemm.sizes import (
    ACCUMULATE,
    TRANSPOSED_A,
    pack_a_columns,
    packed_size,
    panels,
    scratch_size,
)
from fastnn.kernels.layers.activations import sum_of
from fastnn.kernels.layers.columns import collect, deliver, move
from fastnn.kernels.layers.places import fits
from fastnn.kernels.machine.words import REFUSED
from fastnn.kernels.plain.memory import CACHE_LINE
from fastnn.kernels.plain.shared import shared
from fastnn.kernels.threading.driver import kernel
from fastnn.kernels.threading.pool import workers
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


@alone
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


@alone
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
def _slots(work, sizes, filters, length, threads):
    """Return the slots, which stand behind the memory of all threads: (slots, length, filters)."""
    columns, results, packed, scratch, of_slots, _ = sizes
    begin = address_of(work) + threads * (columns + results + packed + scratch) * work.itemsize
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


@inlined
def _plan_of(x, W, y, form):
    """Return how to cut, and the workspace's parts; y has the places."""
    plan = x.shape, W.shape, (y.shape[2], y.shape[3]), W.itemsize
    return _plan(*plan), _sizes(*plan, form)


@inlined
def _on_rows(images):
    """Return images with their places side by side: (N, F, OH OW)."""
    n, f, down, across = images.shape
    return cube(address_of(images), n, f, down * across, images)


@inlined
def _on_columns(W):
    """Return filters, or their gradients, as rows: (F, C FH FW)."""
    f, c, fh, fw = W.shape
    return matrix(address_of(W), f, c * fh * fw, W)


@kernel("pieces", told=True)
def _forward_layer(x, W, b, out, stride, pad, begin, product, threads, pieces, thread, start, stop):
    cut, sizes = _plan_of(x, W, out, 0)
    work = vector(begin, _elements(sizes, threads), W)
    window = W.shape[2], W.shape[3], stride, pad, out.shape[3]
    _forward_units(
        x, _on_columns(W), b, _on_rows(out), out.shape[2], window,
        _memory(work, sizes, W.shape[0], thread), product, cut, start, stop, pieces,
    )  # fmt: skip


@kernel("pieces", told=True)
def _backward_layer(
    dout, x, W, stride, pad, dx, dW, db, begin, product, form, steps, threads, pieces,
    thread, start, stop
):  # fmt: skip
    """Do steps of a backward pass."""
    cut, sizes = _plan_of(x, W, dout, form)
    work = vector(begin, _elements(sizes, threads), W)
    f, c, fh, fw = W.shape
    parts = _slots(work, sizes, f, c * fh * fw + 1, threads)
    if steps & MULTIPLY:
        _backward_units(
            x, _on_columns(W), _on_rows(dout), dx, parts, dout.shape[2],
            (fh, fw, stride, pad, dout.shape[3]), _memory(work, sizes, f, thread), product, form,
            cut, start, stop, pieces,
        )  # fmt: skip
    if steps & SUM:
        _add_slots(parts, _on_columns(dW), db, f * start // pieces, f * stop // pieces)


@inlined
def _elements(sizes, threads):
    """Return how many elements of workspace there should be."""
    columns, results, packed, scratch, of_slots, _ = sizes
    return threads * (columns + results + packed + scratch) + of_slots


@serial
def _fit(x, W, y, stride, pad):
    """Say whether filters have the places in images that an output has."""
    down = fits(x.shape[2], W.shape[2], stride, pad, y.shape[2])
    return down and fits(x.shape[3], W.shape[3], stride, pad, y.shape[3]) and W.size > 0


@serial
def convolution(x, W, b, stride, pad, out, chunks, space, product):
    """out = patches of x times W^T, + b."""
    if not _fit(x, W, out, stride, pad):
        return REFUSED
    _, sizes = _plan_of(x, W, out, 0)
    threads = workers(chunks)
    begin, wanted = claim(space, _elements(sizes, threads) * W.itemsize)
    if wanted > 0:
        return wanted
    args = x, W, b, out, stride, pad, begin, product, threads
    return _forward_layer(*args, chunks, chunks, threads)


@serial
def convolution_backward(dout, x, W, stride, pad, dx, dW, db, chunks, space, product):
    """Gradients of a convolution; dx may be absent, and is then not computed."""
    if not _fit(x, W, dout, stride, pad):
        return REFUSED
    form = BACKWARD if is_absent(dx) else BACKWARD | INPUT
    _, sizes = _plan_of(x, W, dout, form)
    threads = workers(chunks)
    begin, wanted = claim(space, _elements(sizes, threads) * W.itemsize)
    if wanted > 0:
        return wanted
    args = dout, x, W, stride, pad, dx, dW, db, begin, product, form
    if chunks == 1:
        return _backward_layer(*args, MULTIPLY | SUM, 1, 1, 1, 1)
    _backward_layer(*args, MULTIPLY, threads, chunks, chunks, threads)
    return _backward_layer(*args, SUM, threads, chunks, chunks, threads)
