"""How a convolution is cut, and the workspace that it takes: what callers must know.

Images are (N, C, H, W), output images (N, F, OH, OW). A strip is some rows of output images, or of
the gradient with respect to the input.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from fastnn.kernels.gemm.sizes import BITS, packed_size
from fastnn.kernels.plain.memory import CACHE_LINE
from fastnn.kernels.plain.shared import shared
from fastnn.kernels.tuning import by_itemsize

_strip_bytes, _strips = by_itemsize("strip_bytes"), by_itemsize("strips")
_slot_count, _slot_images = by_itemsize("slots"), by_itemsize("slot_images")
_group_channels = by_itemsize("group_channels")

# Of the form of a call. EXACT: infinite weights are multiplied with nothing but what is there, not
# with the zeros between it, which would give NaN.
BACKWARD, INPUT, EXACT = 1, 2, 4
_WORD = 8
FEW = 4  # rows of a tile that has as many sums under way as it takes


class Cut(NamedTuple):
    """How a convolution is cut, and its workspace.

    Attributes
    ----------
    rows, across, plane : int
        Rows of outputs of a strip; elements of a row of its pixels, of one channel and of each
        step within a stride; and of all these rows.
    back_rows, back_across, back_plane : int
        The same of gradients with respect to the input, and of gradients that these are made of;
        where it goes by elements of filters, of outputs.
    wide : int
        Places beside each other of gradients with respect to the input, of one step in a stride.
    pixels, gradients, turned, results, tables, slots : int
        Elements of workspace: of pixels, of gradients, of their transpose, of a strip of
        results, of tables, and of slots, for each of these.
    step : int
        Elements from row to row of results.
    slots_count, groups, group : int
        Slots, groups of channels, and channels of a group.
    """

    rows: Any
    across: Any
    plane: Any
    back_rows: Any
    back_across: Any
    back_plane: Any
    wide: Any
    pixels: Any
    gradients: Any
    turned: Any
    results: Any
    tables: Any
    slots: Any
    step: Any
    slots_count: Any
    groups: Any
    group: Any


@shared
def lines(elements, itemsize):
    """Return a number of elements as whole cache lines, with one more."""
    return (elements * itemsize // CACHE_LINE + 2) * CACHE_LINE // itemsize


@shared
def _rows(most, of_row, beyond, itemsize):
    """Return how many rows a strip has, that has as many elements more for some rows beyond."""
    room = max(1, _strip_bytes(itemsize) // (of_row * itemsize) - beyond)
    strips = (most + room - 1) // room
    return (most + strips - 1) // strips


@shared
def is_by_elements(channels, form):
    """Return whether the input gradient of so many channels is computed by elements of filters.

    Rows of a product would be too few, or it must be exact.
    """
    return channels < FEW or form & EXACT != 0


@shared
def cut_of(shape, filters, places, stride, pad, itemsize, form, threads):
    """Return how to cut.

    Strips of the forward pass and groups depend on threads, but the order of no sum does.
    """
    n, c, h, w = shape
    f, _, fh, fw = filters
    down, right = (fh - 1) // stride, (fw - 1) // stride
    steps = min(stride, fh) * min(stride, fw)
    lanes = BITS // 8 // itemsize
    k = c * fh * fw
    slots = max(1, min(_slot_count(itemsize), n // _slot_images(itemsize)))
    groups = 1
    if form & BACKWARD:
        groups = max(1, min(c // _group_channels(itemsize), (threads + slots - 1) // slots))
    group = (c + groups - 1) // groups
    across = (w + 2 * pad + stride - 1) // stride
    if stride == 1:  # what is left of a row is right of the one before
        across = max(w + pad, places[1])
    rows = _rows(places[0], c * steps * across, down, itemsize)
    if form == 0 and threads > 1:
        strips = min(places[0], (_strips(itemsize) * threads + n - 1) // max(1, n))
        rows = min(rows, (places[0] + strips - 1) // strips)
    plane = (rows + down) * across
    count = (rows - 1) * across + places[1]
    back_rows = back_across = back_plane = wide = gradients = turned = of_slots = back = 0
    if form & BACKWARD:
        turned = packed_size(rows * places[1], f, itemsize)
        of_slots = slots * (k + 1) * lines(f, itemsize)
    if form & INPUT:
        first = pad // stride
        wide = (w - 1 + pad) // stride + 1 - first
        back_across = wide + right
        if stride == 1 and pad <= right:
            back_across = max(wide, places[1] + right - pad)
        high = (h - 1 + pad) // stride + 1 - first
        back_rows = _rows(high, f * back_across, down, itemsize)
        back_plane = (back_rows + down) * back_across
        back = (back_rows - 1) * back_across + wide
        if is_by_elements(c, form):
            back_across = places[1]
            back_rows = _rows(places[0], (f + c * fh * fw) * places[1], 0, itemsize)
            back_plane = back = back_rows * places[1]
        gradients = lines(f * back_plane + lanes, itemsize)
    # One cache line more than vectors take: rows do not displace each other.
    step = lines(max(count, back), itemsize)
    results, words = f * step, 2 * k + f
    if form & BACKWARD:
        results = group * step if form & INPUT else 0
        words = group * fh * fw + 2 * rows * places[1] + group + 2 * f * fh * fw
        if is_by_elements(c, form):
            results *= fh * fw
            words += group * fh * fw
    return Cut(
        rows, across, plane, back_rows, back_across, back_plane, wide,
        lines(group * steps * plane + lanes, itemsize), gradients,
        lines(turned, itemsize), results, lines(words * _WORD // itemsize, itemsize), of_slots,
        step, slots, groups, group,
    )  # fmt: skip


@shared
def of_thread(cut):
    """Return how many elements of workspace a thread has."""
    return cut.pixels + cut.gradients + cut.turned + cut.results + cut.tables


@shared
def elements(cut, threads):
    """Return how many elements of workspace there should be."""
    return threads * of_thread(cut) + cut.slots
