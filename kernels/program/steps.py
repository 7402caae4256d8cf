"""The loop over the steps of a training program that work on rows, and its own steps.

A thread takes all steps of a segment for a block of rows before it goes on to the next block, so
that what a step writes is in the cache for the one that reads it.

A first layer with many more inputs than units is a segment in two parts: each is a sum over half of
the inputs. A thread copies these columns of the samples alone, reads these rows of the weights, and
updates the same rows later, so that none of them goes from core to core.
"""

from typing import Any

import numba
import numpy as np

from fastnn.kernels.codegen.atomics import call
from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import matrix, pointer, typed, vector
from fastnn.kernels.codegen.prefetch import prefetch
from fastnn.kernels.codegen.raw import WORD, ask, set_item, stack
from fastnn.kernels.gemm.dots import multiply_rows
from fastnn.kernels.gemm.packing import pack_panels
from fastnn.kernels.gemm.sizes import (
    ACCUMULATE,
    RELU,
    ROWS,
    TRANSPOSED_A,
    panels,
    tile_columns,
)
from fastnn.kernels.layers.affine import add_columns
from fastnn.kernels.plain.memory import CACHE_LINE
from fastnn.kernels.program.ahead import bring
from fastnn.kernels.program.places import bytes_of_data, claim, place, refuse, sample
from fastnn.kernels.program.tables import (
    AFFINE,
    ELEMENTWISE,
    FLOAT32,
    FLOAT64,
    GATHER,
    INPUT_GRADIENT,
    JOIN,
    PACK_ROWS,
    PROGRAM,
    STEP,
    UINT8,
    UNIT,
    UNKNOWN_DATA,
    UNKNOWN_STEP,
    WEIGHT_GRADIENT,
)


@serial
def rows(p, data, steps, like, worker):
    """Take the steps of the present segment, for pieces of the batch until all are claimed.

    A thread begins with those of its own stream, whose rows are in its cache.
    """
    for i in range(p.streams):
        stream = (worker + i) % p.streams
        begin, end = p.pieces * stream // p.streams, p.pieces * (stream + 1) // p.streams
        piece = begin + claim(p, stream)
        while piece < end:
            low, high, j0, j1 = _piece(p, piece)
            for first in range(low, high, p.block):
                count = min(p.block, high - first)
                for j in range(j0, j1):
                    _step(p, data, steps[j], j, first, count, piece, first == low, worker, like)
                    bring(p, worker)
            piece = begin + claim(p, stream)


@serial
def _piece(p, piece):
    """Return the rows of a piece and its steps: the first of each, and the first beyond."""
    if p.parts == 1:
        # As sums are taken over units, so are pieces.
        unit, number, pieces, begin, end = UNIT, piece, p.pieces, p.begin, p.end
    else:
        unit, number, pieces = ROWS, piece % p.strips, p.strips
        size = (p.end - p.begin) // p.parts
        begin = p.begin + piece // p.strips * size
        end = begin + size
    units = (p.n + unit - 1) // unit
    low = units * number // pieces * unit
    return low, min(p.n, units * (number + 1) // pieces * unit), begin, end


@serial
def _step(p, data, s, index, first, count, slot, fresh, worker, like):
    """Take a step for `count` rows, the first of which is sample `first` of the batch."""
    size, own, kind = like.itemsize, worker * p.block, s.kind
    source = place(s.source, s.source_local, first, own, s.d * size)
    target = place(s.target, s.target_local, first, own, s.h * size)
    other = place(s.other, s.other_local, first, own, s.h * size)
    if s.function != 0:
        call(s.function, (data, index, first, count, worker))
    elif AFFINE <= kind <= WEIGHT_GRADIENT:
        _product(p, s, source, target, other, count, slot, fresh, worker, like)
    elif kind == GATHER:
        _gather(p, s, first, count, target, like)
    elif kind == JOIN:
        if not p.adds:
            _join(s, source, other, target, count, like)
    elif kind == PACK_ROWS:
        dz = matrix(source, count, s.d, like)
        packed = vector(s.packed, (s.d + tile_columns(dz)) * p.n, like)
        pack_panels(dz, packed, first, p.n, 0, panels(dz, s.d))
    elif kind == ELEMENTWISE and s.kernel != 0:
        _activate(s, source, target, other, count * s.h)
    else:
        refuse(p, UNKNOWN_STEP, kind)


@serial
def _product(p, s, source, target, other, count, slot, fresh, worker, like):
    size = like.itemsize
    scratch = p.scratch + worker * p.scratch_size * size
    if s.kind == AFFINE:
        flags, bias = s.flags, s.b
        if s.other != 0 and p.adds:  # the second of two parts: the first is where the sum is to be
            target, flags = other, flags | ACCUMULATE
        elif s.other != 0:
            flags, bias = 0, 0
        call(
            p.product,
            (
                source + s.left * size, s.d, s.W, s.h, s.packed, bias, target, s.h, count,
                s.columns, s.h, flags, 0, count, 0, s.h, scratch,
            ),
        )  # fmt: skip
    elif s.kind == WEIGHT_GRADIENT:
        shift = slot * p.slot_step * size
        flags = TRANSPOSED_A if fresh else TRANSPOSED_A | ACCUMULATE
        db = vector(s.db + shift, s.h, like)
        if fresh:
            db[:] = 0
        add_columns(matrix(other, count, s.h, like), db, 0)
        call(
            p.product,
            (
                source, s.d, other, s.h, 0, 0, s.dW + shift, s.h, s.d, count, s.h, flags,
                0, s.d, 0, s.h, scratch,
            ),
        )  # fmt: skip
    elif s.kind != INPUT_GRADIENT:
        refuse(p, UNKNOWN_STEP, s.kind)
    elif s.packed != 0:
        call(
            p.product,
            (
                source, s.d, 0, s.h, s.packed, 0, target, s.h, count, s.d, s.h, 0,
                0, count, 0, s.h, scratch,
            ),
        )  # fmt: skip
    else:
        a, c = matrix(source, count, s.d, like), matrix(target, count, s.h, like)
        multiply_rows(a, matrix(s.W, s.h, s.d, like), c, 0, 1, 1)


# The words of an activation's kernel, at most: three arrays, their length, a number, pieces, and
# workspace.
_WORDS = 8


@serial
def _activate(s, source, target, other, size):
    """Let a kernel write an activation of some rows, or their gradient in place."""
    words, is_gradient = stack(_WORDS), s.arrays == 3
    set_item(words, 0, target if is_gradient else source)
    set_item(words, 1, other if is_gradient else target)
    set_item(words, 2, target)
    set_item(words, s.arrays, size)
    if s.numbers > 0:
        typed(words + WORD * (s.arrays + 1), 1, np.float64)[0] = s.setting
    last = s.arrays + 1 + s.numbers
    set_item(words, last, 1)  # in one piece, without workspace
    set_item(words, last + 1, 0)
    set_item(words, last + 2, 0)
    ask(s.kernel, (words,))


@serial
def _join(s, source, other, target, count, like):
    """Write what an affine layer gives for some rows, of the sums of its parts."""
    h, relu, zero = s.h, s.flags & RELU, like.dtype.type(0)
    bias = vector(s.b, h, like)
    for i in range(count):
        at = i * h * like.itemsize
        a, b = vector(source + at, h, like), vector(other + at, h, like)
        out = vector(target + at, h, like)
        for j in range(h):
            y = (a[j] + b[j]) + bias[j]
            out[j] = zero if relu and y <= zero else y


@serial
def _gather(p, s, first, count, target, like):
    """Copy columns of some rows of the data set, whatever their type, times its scale."""
    d = s.columns
    size = bytes_of_data(p)
    address = _address(p, first, s.left * size)
    for i in range(count):
        following = address
        if i + 1 < count:  # rows stand anywhere: nothing else could know the next one
            following = _address(p, first + i + 1, s.left * size)
            for at in range(0, d * size, CACHE_LINE):
                prefetch(following + at)
        out = vector(target + (i * s.h + s.left) * like.itemsize, d, like)
        if p.data_kind == FLOAT32:
            _scale(typed(address, d, np.float32), p.data_scale, out)
        elif p.data_kind == FLOAT64:
            _scale(typed(address, d, np.float64), p.data_scale, out)
        elif p.data_kind == UINT8:
            _scale(typed(address, d, np.uint8), p.data_scale, out)
        else:
            refuse(p, UNKNOWN_DATA, p.data_kind)
        address = following


@serial
def _address(p, row, shift):
    """Return where a row of the batch stands in the data set, and so many bytes further on."""
    return p.data + sample(p, row) * p.data_step + shift


@serial
def _scale(row, scale, out):
    real = out.dtype.type
    factor = real(scale)
    for j in range(out.size):
        out[j] = real(row[j]) * factor


def _on_rows(real: Any) -> Any:
    def on_rows(data, chunk, worker):
        """Take a segment's steps for some rows."""
        p, like = typed(data, 1, PROGRAM)[0], numba.carray(pointer(0), 0, real)
        rows(p, data, typed(p.steps, p.end, STEP), like, worker)
        return 0

    return on_rows


PARTS = {"on_rows": _on_rows}
