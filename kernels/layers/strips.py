"""How a convolution is cut, and the workspace that it takes: what callers must know."""

from __future__ import annotations

from fastnn.kernels.gemm.sizes import pack_a_columns, packed_size, scratch_size
from fastnn.kernels.plain.memory import CACHE_LINE
from fastnn.kernels.plain.shared import shared
from fastnn.kernels.tuning import by_itemsize

_columns_length, _strips = by_itemsize("columns_length"), by_itemsize("strips")
_strip_bytes, _fewest_places = by_itemsize("strip_bytes"), by_itemsize("fewest_places")
_spare_places, _slot_count = by_itemsize("spare_places"), by_itemsize("slots")
_slot_places, _slot_elements = by_itemsize("slot_places"), by_itemsize("slot_elements")

BACKWARD, INPUT = 1, 2  # of the form of a call


@shared
def plan(shape, filters, places, itemsize):
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
def sizes_of(shape, filters, places, itemsize, form):
    """Return the workspace's parts.

    Sizes of columns, of rows, of rows packed, of another matrix packed, and of slots; the step
    from row to row.
    """
    group, together, rows, slots = plan(shape, filters, places, itemsize)
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


@shared
def elements(sizes, pieces):
    """Return how many elements of workspace there should be."""
    columns, results, packed, scratch, of_slots, _ = sizes
    return pieces * (columns + results + packed + scratch) + of_slots
