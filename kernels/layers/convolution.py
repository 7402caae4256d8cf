"""Convolution of images: products of filters with shifted pixels, and gradients.

The pixels of a strip are copied, with the padding around them, one channel behind the other. What
an element of a filter sees is then a run of them: output images are sums over elements of filters
of runs that are some step apart, and there is no matrix of all that filters see. Runs go over the
ends of rows; what is computed there is left out. Where filters are put only every so many pixels,
those of each step in a stride stand by themselves, and a run is one of these again.

    forward           out[f, p] = b[f] + sum over (c, i, j) of W[f, c, i, j] pixels[c, p + (i, j)]
    weight gradient   dW^T[(c, i, j), f] = sum over p of pixels[c, p + (i, j)] dout^T[p, f]
    input gradient    dx[c, p] = sum over (f, i, j) of W[f, c, i, j] dout[f, p - (i, j)]

Of few channels that would be few rows: then the sums over f are taken first, for each (c, i, j).

The forward pass is cut into strips, the backward pass into slots, which are some of the images, and
groups of channels. All that depends on shapes alone, and so does the order of each sum.
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
from fastnn.kernels.codegen.raw import put
from fastnn.kernels.gemm.packing import pack_transposed
from fastnn.kernels.gemm.sizes import ACCUMULATE, BITS, panels, tile_columns
from fastnn.kernels.gemm.zeros import are_finite
from fastnn.kernels.layers.activations import sum_of
from fastnn.kernels.layers.blocks import add_block, copy_block
from fastnn.kernels.layers.places import fits
from fastnn.kernels.layers.strips import (
    BACKWARD,
    EXACT,
    INPUT,
    cut_of,
    elements,
    is_by_elements,
    of_thread,
)
from fastnn.kernels.layers.taps import multiply
from fastnn.kernels.machine.words import REFUSED
from fastnn.kernels.threading.driver import kernel
from fastnn.kernels.threading.pool import workers

__all__ = ["convolution", "convolution_backward"]

MULTIPLY, SUM = 1, 2  # steps
_WORD = 8


@serial
def _block(size, total, index):
    """Return where a block of that size begins and ends."""
    return index * size, min(total, (index + 1) * size)


@serial
def _vectors(count, itemsize):
    """Return how many vectors hold so many numbers."""
    lanes = BITS // 8 // itemsize
    return (count + lanes - 1) // lanes


@serial
def _inside(size, offset, stride, first, last):
    """Return which places p of a range have p stride - offset in range(size), as a range."""
    low = min(max((max(0, offset) + stride - 1) // stride, first), last)
    return low, max(min((max(0, size + offset) + stride - 1) // stride, last), low)


@alone
def _spread(x, image, channels, top, left, rows, across, plane, steps, stride, pixels):
    """Copy rows of some channels; those outside the image are left as they are.

    For each step in a stride, (a, b), row y and column p are those of the image with numbers
    y stride + a + top and p stride + b + left.
    """
    h, w = x.shape[2:]
    zero, size = x.dtype.type(0), x.itemsize
    begin, to = address_of(x) + image * x.strides[0], address_of(pixels)
    for c in range(channels[0], channels[1]):
        for a in range(steps[0]):
            first, last = _inside(h, -(a + top), stride, 0, rows)
            for b in range(steps[1]):
                low, high = _inside(w, -(b + left), stride, 0, across)
                source = begin + c * x.strides[1] + (first * stride + a + top) * x.strides[2]
                source += (low * stride + b + left) * size
                target = to + (first * across + low) * size
                if stride == 1:
                    copy_block(
                        source, x.strides[2], target, across * size, last - first, high - low, zero
                    )
                else:
                    for y in range(last - first):
                        row = vector(source + y * stride * x.strides[2], (high - low) * stride, x)
                        own = vector(target + y * across * size, high - low, x)
                        for p in range(high - low):
                            own[p] = row[p * stride]
                to += plane * size


@alone
def _gather(results, step, dx, image, channels, top, left, rows, across, a, b, stride):
    """Write gradients of one step in a stride to the pixels that they are of."""
    h, w = dx.shape[2:]
    zero, size = dx.dtype.type(0), dx.itemsize
    first, last = _inside(h, -(a + top), stride, 0, rows[1] - rows[0])
    low, high = _inside(w, -(b + left), stride, 0, rows[2])
    for c in range(channels[0], channels[1]):
        source = address_of(results) + ((c - channels[0]) * step + first * across + low) * size
        target = address_of(dx) + image * dx.strides[0] + c * dx.strides[1]
        target += (first * stride + a + top) * dx.strides[2] + (low * stride + b + left) * size
        if stride == 1:
            copy_block(source, across * size, target, dx.strides[2], last - first, high - low, zero)
        else:
            for y in range(last - first):
                own = vector(source + y * across * size, high - low, dx)
                row = vector(target + y * stride * dx.strides[2], (high - low) * stride, dx)
                for p in range(high - low):
                    row[p * stride] = own[p]


@serial
def _tabulate_pixels(table, window, cut, channels, size):
    """Write the steps to what the elements of filters see of some channels."""
    fh, fw, stride, _, _ = window
    of_rows, of_columns = min(stride, fh), min(stride, fw)
    for c in range(channels[0], channels[1]):
        for i in range(fh):
            for j in range(fw):
                own = ((c - channels[0]) * of_rows + i % stride) * of_columns + j % stride
                at = own * cut.plane + i // stride * cut.across + j // stride
                put(table, at * size)
                table += _WORD


@serial
def _tabulate(table, count, step):
    """Write multiples of a step."""
    for i in range(count):
        put(table + i * _WORD, i * step)


@inlined
def _memory(work, cut, thread):
    """Return what a thread works in: pixels, gradients, their transpose, results; tables."""
    mine = of_thread(cut)
    own = work[thread * mine : (thread + 1) * mine]
    gradients = cut.pixels + cut.gradients
    results = gradients + cut.turned
    tables = results + cut.results
    return (
        own[: cut.pixels], own[cut.pixels : gradients], own[gradients:results],
        own[results:tables], address_of(own) + tables * own.itemsize,
    )  # fmt: skip


@inlined
def _slots(work, cut, length, threads):
    """Return the slots, which stand behind the memory of all threads: (slots, length, filters)."""
    begin = address_of(work) + threads * of_thread(cut) * work.itemsize
    wide = cut.slots // (cut.slots_count * length) if cut.slots > 0 else 0
    return cube(begin, cut.slots_count, length, wide, work)


@inlined
def _cut_of(x, W, y, stride, pad, form, threads):
    """Return how to cut; y has the places."""
    places = y.shape[2], y.shape[3]
    return cut_of(x.shape, W.shape, places, stride, pad, W.itemsize, form, threads)


@kernel("pieces", told=True)
def _forward_layer(x, W, b, out, stride, pad, begin, taps, threads, pieces, thread, start, stop):
    """Compute some pieces of out; a unit is a strip of an image."""
    cut = _cut_of(x, W, out, stride, pad, 0, threads)
    work = vector(begin, elements(cut, threads), W)
    pixels, _, _, results, tables = _memory(work, cut, thread)
    n, c, _, _ = x.shape
    f, _, fh, fw = W.shape
    down, across = out.shape[2:]
    k, size, zero = c * fh * fw, W.itemsize, W.dtype.type(0)
    window = fh, fw, stride, pad, across
    of_x, of_rows = tables + k * _WORD, tables + 2 * k * _WORD
    _tabulate(tables, k, size)
    _tabulate_pixels(of_x, window, cut, (0, c), size)
    _tabulate(of_rows, f, k * size)
    strips = (down + cut.rows - 1) // cut.rows
    for i in range(pixels.size):
        pixels[i] = zero
    units = n * strips
    for unit in range(units * start // pieces, units * stop // pieces):
        image, rows = unit // strips, _block(cut.rows, down, unit % strips)
        high = rows[1] - rows[0]
        if strips > 1:  # other rows are padding than before
            for i in range(pixels.size):
                pixels[i] = zero
        _spread(
            x, image, (0, c), rows[0] * stride - pad, -pad, high + (fh - 1) // stride, cut.across,
            cut.plane, (min(stride, fh), min(stride, fw)), stride, pixels,
        )  # fmt: skip
        vectors = _vectors((high - 1) * cut.across + across, size)
        multiply(
            taps, k, address_of(W), of_rows, tables, address_of(pixels), of_x,
            address_of(results), cut.step * size, address_of(b), 0, f, vectors,
        )  # fmt: skip
        for filter_ in range(f):
            copy_block(
                address_of(results) + filter_ * cut.step * size, cut.across * size,
                address_of(out) + image * out.strides[0] + filter_ * out.strides[1]
                + rows[0] * out.strides[2], out.strides[2], high, across, zero,
            )  # fmt: skip


@alone
def _add_weights(x, dout, part, memory, window, cut, taps, channels, image, rows, steps, clear):
    """Add to dW^T what some rows of places of an image give, and with the first channels to db."""
    pixels, _, turned, _, tables = memory
    fh, fw, stride, pad, across = window
    size, zero, f = x.itemsize, x.dtype.type(0), dout.shape[1]
    high, k = rows[1] - rows[0], (channels[1] - channels[0]) * fh * fw
    if clear:  # other rows are padding than before
        for i in range(pixels.size):
            pixels[i] = zero
    _spread(
        x, image, channels, rows[0] * stride - pad, -pad, high + (fh - 1) // stride, cut.across,
        cut.plane, steps, stride, pixels,
    )  # fmt: skip
    begin = address_of(dout) + image * dout.strides[0] + rows[0] * dout.strides[2]
    d = matrix(begin, f, dout.strides[1] // size, dout)[:, : high * across]
    if channels[0] == 0:
        for i in range(f):
            part[-1, i] += sum_of(vector(begin + i * dout.strides[1], high * across, dout))
    pack_transposed(d, turned, 0, panels(d, f))
    wide = tile_columns(d)
    of_a, of_x = tables + k * _WORD, tables + (k + cut.rows * across) * _WORD
    for panel in range(panels(d, f)):
        multiply(
            taps, high * across, address_of(pixels), tables, of_a,
            address_of(turned) + panel * wide * high * across * size, of_x,
            address_of(part) + (channels[0] * fh * fw * part.shape[1] + panel * wide) * size,
            part.strides[0], 0, ACCUMULATE, k, _vectors(min(wide, f - panel * wide), size),
        )  # fmt: skip


@alone
def _input_gradient(W, dout, dx, memory, window, cut, taps, channels, image, tables, rows, clear):
    """Write the gradient with respect to some rows of an image, of all steps in a stride."""
    _, gradients, _, results, _ = memory
    fh, fw, stride, pad, _ = window
    f = W.shape[0]
    size, zero, first = W.itemsize, W.dtype.type(0), pad // stride
    down, right = (fh - 1) // stride, (fw - 1) // stride
    if clear:
        for i in range(gradients.size):
            gradients[i] = zero
    _spread(
        dout, image, (0, f), first + rows[0] - down, first - right, rows[1] - rows[0] + down,
        cut.back_across, cut.back_plane, (1, 1), 1, gradients,
    )  # fmt: skip
    count = (rows[1] - rows[0] - 1) * cut.back_across + cut.wide
    taken, most = 0, f * fh * fw
    of_a = tables + (channels[1] - channels[0]) * _WORD
    for a in range(min(stride, fh)):
        for b in range(min(stride, fw)):
            k = f * ((fh - a + stride - 1) // stride) * ((fw - b + stride - 1) // stride)
            multiply(
                taps, k, address_of(W) + channels[0] * fh * fw * size, tables,
                of_a + taken * _WORD, address_of(gradients), of_a + (most + taken) * _WORD,
                address_of(results), cut.step * size, 0, 0, channels[1] - channels[0],
                _vectors(count, size),
            )  # fmt: skip
            _gather(
                results, cut.step, dx, image, channels, (first + rows[0]) * stride - pad,
                first * stride - pad, (rows[0], rows[1], cut.wide), cut.back_across, a, b, stride,
            )  # fmt: skip
            taken += k


@alone
def _add_block(results, step, across, dx, image, channels, window, rows):
    """Add what each element of a filter gives at some rows of places to the pixels it has seen."""
    fh, fw, stride, pad, wide = window
    h, w = dx.shape[2:]
    zero, size = dx.dtype.type(0), dx.itemsize
    own = address_of(results)
    for c in range(channels[0], channels[1]):
        plane = address_of(dx) + image * dx.strides[0] + c * dx.strides[1]
        for i in range(fh):
            first, last = _inside(h, pad - i, stride, rows[0], rows[1])
            for j in range(fw):
                low, high = _inside(w, pad - j, stride, 0, wide)
                source = own + ((first - rows[0]) * across + low) * size
                target = plane + (first * stride + i - pad) * dx.strides[2]
                target += (low * stride + j - pad) * size
                if stride == 1:
                    add_block(
                        source, across * size, target, dx.strides[2], last - first, high - low, zero
                    )
                else:
                    for y in range(last - first):
                        given = vector(source + y * across * size, high - low, dx)
                        row = vector(target + y * stride * dx.strides[2], (high - low) * stride, dx)
                        for p in range(high - low):
                            row[p * stride] += given[p]
                own += step * size


@alone
def _few_gradients(W, dout, dx, memory, window, cut, taps, channels, image, tables, rows):
    """Add what some rows of places give to the gradient of few channels of an image."""
    _, gradients, _, results, _ = memory
    f, area, size, zero = W.shape[0], window[0] * window[1], W.itemsize, W.dtype.type(0)
    high, count = rows[1] - rows[0], (channels[1] - channels[0]) * area
    begin = address_of(dout) + image * dout.strides[0] + rows[0] * dout.strides[2]
    copy_block(
        begin, dout.strides[1], address_of(gradients), cut.back_plane * size, f,
        high * cut.back_across, zero,
    )  # fmt: skip
    of_a, of_x = tables + count * _WORD, tables + (count + f) * _WORD
    multiply(
        taps, f, address_of(W) + channels[0] * area * size, tables, of_a, address_of(gradients),
        of_x, address_of(results), cut.step * size, 0, 0, count,
        _vectors(high * cut.back_across, size),
    )  # fmt: skip
    _add_block(results, cut.step, cut.back_across, dx, image, channels, window, rows)


@serial
def _tabulate_few(table, filters, count, cut, size):
    """Write the steps of :func:`_few_gradients`: to elements of filters, to filters, gradients."""
    f, c, fh, fw = filters
    _tabulate(table, count, size)
    _tabulate(table + count * _WORD, f, c * fh * fw * size)
    _tabulate(table + (count + f) * _WORD, f, cut.back_plane * size)


@serial
def _tabulate_back(table, shape, window, cut, group, size):
    """Write the steps of the input gradient: to rows of filters, their elements, and gradients."""
    f, c = shape
    fh, fw, stride, _, _ = window
    area, down, right = fh * fw, (fh - 1) // stride, (fw - 1) // stride
    _tabulate(table, group, area * size)
    of_a = table + group * _WORD
    of_x = of_a + f * area * _WORD
    for a in range(min(stride, fh)):
        for b in range(min(stride, fw)):
            for filter_ in range(f):
                for i in range(a, fh, stride):
                    for j in range(b, fw, stride):
                        put(of_a, (filter_ * c * area + i * fw + j) * size)
                        at = filter_ * cut.back_plane + (down - i // stride) * cut.back_across
                        put(of_x, (at + right - j // stride) * size)
                        of_a += _WORD
                        of_x += _WORD


@inlined
def _backward_units(x, W, dout, dx, parts, window, memory, taps, form, cut, start, stop, pieces):
    """Compute some pieces of the slots and of dx; a unit is a slot of a group of channels."""
    fh, fw, stride, pad, across = window
    n, c, h, _ = x.shape
    f, down, size, zero = W.shape[0], dout.shape[2], W.itemsize, W.dtype.type(0)
    strips = (down + cut.rows - 1) // cut.rows
    few = is_by_elements(c, form)
    high = down if few else (h - 1 + pad) // stride + 1 - pad // stride
    back_strips = (high + cut.back_rows - 1) // cut.back_rows if form & INPUT else 0
    steps = min(stride, fh), min(stride, fw)
    units = cut.slots_count * cut.groups
    for unit in range(units * start // pieces, units * stop // pieces):
        slot, channels = unit // cut.groups, _block(cut.group, c, unit % cut.groups)
        if channels[0] >= channels[1]:
            continue
        k, part, tables = (channels[1] - channels[0]) * fh * fw, parts[slot], memory[4]
        part[channels[0] * fh * fw : channels[1] * fh * fw] = 0
        if channels[0] == 0:
            part[c * fh * fw] = 0
        for i in range(memory[0].size):
            memory[0][i] = zero
        for i in range(memory[1].size):
            memory[1][i] = zero
        _tabulate_pixels(tables, window, cut, channels, size)
        of_a, of_x = tables + k * _WORD, tables + (k + cut.rows * across) * _WORD
        for y in range(cut.rows):
            for p in range(across):
                put(of_a + (y * across + p) * _WORD, (y * cut.across + p) * size)
        _tabulate(of_x, cut.rows * across, tile_columns(W) * size)
        back = tables + (k + 2 * cut.rows * across) * _WORD
        group = channels[1] - channels[0]
        if form & INPUT and few:
            _tabulate_few(back, W.shape, k, cut, size)
        elif form & INPUT:
            _tabulate_back(back, (f, c), window, cut, group, size)
        for image in range(n * slot // cut.slots_count, n * (slot + 1) // cut.slots_count):
            for strip in range(strips):
                _add_weights(
                    x, dout, part, memory, window, cut, taps, channels, image,
                    _block(cut.rows, down, strip), steps, strips > 1,
                )  # fmt: skip
            if form & INPUT and (few or stride > 1):  # some pixels may be seen by no filter
                dx[image, channels[0] : channels[1]] = 0
            for strip in range(back_strips):
                own = _block(cut.back_rows, high, strip)
                if few:
                    _few_gradients(
                        W, dout, dx, memory, window, cut, taps, channels, image, back, own
                    )
                else:
                    _input_gradient(
                        W, dout, dx, memory, window, cut, taps, channels, image, back, own,
                        back_strips > 1,
                    )  # fmt: skip


@serial
def _add_slots(parts, dW, db, first, last):
    """Add up dW^T, and its last row, db, for some filters."""
    slots, length, _ = parts.shape
    for f in range(first, last):
        db[f] = 0
        for slot in range(slots):
            db[f] += parts[slot, length - 1, f]
    for i in range(length - 1):
        for f in range(first, last):
            total = parts[0, i, f]
            for slot in range(1, slots):
                total += parts[slot, i, f]
            dW[f, i] = total


@inlined
def _on_columns(W):
    """Return filters, or their gradients, as rows: (F, C FH FW)."""
    f, c, fh, fw = W.shape
    return matrix(address_of(W), f, c * fh * fw, W)


@kernel("pieces", told=True)
def _backward_layer(
    dout, x, W, stride, pad, dx, dW, db, begin, taps, form, steps, threads, pieces,
    thread, start, stop
):  # fmt: skip
    """Do steps of a backward pass."""
    cut = _cut_of(x, W, dout, stride, pad, form, threads)
    work = vector(begin, elements(cut, threads), W)
    f, c, fh, fw = W.shape
    parts = _slots(work, cut, c * fh * fw + 1, threads)
    if steps & MULTIPLY:
        _backward_units(
            x, W, dout, dx, parts, (fh, fw, stride, pad, dout.shape[3]),
            _memory(work, cut, thread), taps, form, cut, start, stop, pieces,
        )  # fmt: skip
    if steps & SUM:
        _add_slots(parts, _on_columns(dW), db, f * start // pieces, f * stop // pieces)


@serial
def _fit(x, W, y, stride, pad):
    """Say whether filters have the places in images that an output has."""
    down = fits(x.shape[2], W.shape[2], stride, pad, y.shape[2])
    return down and fits(x.shape[3], W.shape[3], stride, pad, y.shape[3]) and W.size > 0


@serial
def convolution(x, W, b, stride, pad, out, chunks, space, taps):
    """out = patches of x times W^T, + b."""
    if not _fit(x, W, out, stride, pad):
        return REFUSED
    threads = workers(chunks)
    cut = _cut_of(x, W, out, stride, pad, 0, threads)
    begin, wanted = claim(space, elements(cut, threads) * W.itemsize)
    if wanted > 0:
        return wanted
    args = x, W, b, out, stride, pad, begin, taps, threads
    return _forward_layer(*args, chunks, chunks, threads)


@serial
def convolution_backward(dout, x, W, stride, pad, dx, dW, db, chunks, space, taps):
    """Gradients of a convolution; dx may be absent, and is then not computed."""
    if not _fit(x, W, dout, stride, pad):
        return REFUSED
    form = BACKWARD if is_absent(dx) else BACKWARD | INPUT
    if form & INPUT and not are_finite(_on_columns(W), 0, W.shape[0], 0, W[0].size):
        form |= EXACT
    threads = workers(chunks)
    cut = _cut_of(x, W, dout, stride, pad, form, threads)
    begin, wanted = claim(space, elements(cut, threads) * W.itemsize)
    if wanted > 0:
        return wanted
    args = dout, x, W, stride, pad, dx, dW, db, begin, taps, form
    if chunks == 1:
        return _backward_layer(*args, MULTIPLY | SUM, 1, 1, 1, 1)
    _backward_layer(*args, MULTIPLY, threads, chunks, chunks, threads)
    return _backward_layer(*args, SUM, threads, chunks, chunks, threads)
