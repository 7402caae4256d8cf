"""The loop over the steps of a training program that work on rows, and its own steps.

A thread takes all steps of a segment for a block of rows before it goes on to the next block, so
that what a step writes is in the cache for the one that reads it.
"""

from typing import Any

import numba
import numpy as np

from fastnn.kernels.codegen.atomics import call
from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import matrix, pointer, typed, vector
from fastnn.kernels.codegen.raw import WORD, ask, set_item, stack
from fastnn.kernels.gemm.dots import multiply_rows
from fastnn.kernels.gemm.packing import pack_panels
from fastnn.kernels.gemm.sizes import ACCUMULATE, TRANSPOSED_A, panels, tile_columns
from fastnn.kernels.layers.activations import sum_of
from fastnn.kernels.layers.affine import add_columns
from fastnn.kernels.layers.losses import (
    cross_entropy_rows,
    dense_cross_entropy_row,
    is_right,
    largest_of,
    sum_of_squares,
)
from fastnn.kernels.program.places import claim, place, refuse
from fastnn.kernels.program.tables import (
    AFFINE,
    CROSS_ENTROPY,
    DENSE_CROSS_ENTROPY,
    ELEMENTWISE,
    FLOAT32,
    FLOAT64,
    GATHER,
    INPUT_GRADIENT,
    PACK_ROWS,
    PROGRAM,
    SQUARED_ERROR,
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
    units = (p.n + UNIT - 1) // UNIT
    for i in range(p.streams):
        stream = (worker + i) % p.streams
        begin, end = p.pieces * stream // p.streams, p.pieces * (stream + 1) // p.streams
        piece = begin + claim(p, stream)
        while piece < end:
            low = units * piece // p.pieces * UNIT
            high = min(p.n, units * (piece + 1) // p.pieces * UNIT)
            for first in range(low, high, p.block):
                count = min(p.block, high - first)
                for j in range(p.begin, p.end):
                    _step(p, data, steps[j], j, first, count, piece, first == low, worker, like)
            piece = begin + claim(p, stream)


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
        _gather(p, first, count, target, like)
    elif kind == PACK_ROWS:
        dz = matrix(source, count, s.d, like)
        packed = vector(s.packed, (s.d + tile_columns(dz)) * p.n, like)
        pack_panels(dz, packed, first, p.n, 0, panels(dz, s.d))
    elif kind == ELEMENTWISE and s.kernel != 0:
        _activate(s, source, target, other, count * s.h)
    elif CROSS_ENTROPY <= kind <= SQUARED_ERROR:
        _evaluate(p, s, source, target, first, count, like)
    else:
        refuse(p, UNKNOWN_STEP, kind)


@serial
def _product(p, s, source, target, other, count, slot, fresh, worker, like):
    size = like.itemsize
    scratch = p.scratch + worker * p.scratch_size * size
    if s.kind == AFFINE:
        call(
            p.product,
            (
                source, s.d, s.W, s.h, s.packed, s.b, target, s.h, count, s.d, s.h, s.flags,
                0, count, 0, s.h, scratch,
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
def _sample(p, row):
    """Return where a row of the batch stands in the data set."""
    return typed(p.order, p.first + row + 1, np.int64)[p.first + row] if p.order else row


@serial
def _gather(p, first, count, target, like):
    """Copy rows of the data set, whatever their type, times its scale."""
    d = p.features
    for i in range(count):
        address = p.data + _sample(p, first + i) * p.data_step
        out = vector(target + i * d * like.itemsize, d, like)
        if p.data_kind == FLOAT32:
            _scale(typed(address, d, np.float32), p.data_scale, out)
        elif p.data_kind == FLOAT64:
            _scale(typed(address, d, np.float64), p.data_scale, out)
        elif p.data_kind == UINT8:
            _scale(typed(address, d, np.uint8), p.data_scale, out)
        else:
            refuse(p, UNKNOWN_DATA, p.data_kind)


@serial
def _scale(row, scale, out):
    real = out.dtype.type
    factor = real(scale)
    for j in range(out.size):
        out[j] = real(row[j]) * factor


@serial
def _evaluate(p, s, source, target, first, count, like):
    """Write the gradient of the loss, sums of losses over units and how many rows are right."""
    classes, size, n = s.d, like.itemsize, like.dtype.type(p.n)
    x, dx = matrix(source, count, classes, like), matrix(target, count, classes, like)
    losses = vector(p.losses + first * size, count, like)
    labels = typed(p.labels + first * 8, count, np.int64)
    goals = p.targets + first * classes * size
    if p.classes > 0 and p.order != 0:
        goals = p.goals + first * classes * size
        for i in range(count):
            goal = vector(p.targets + _sample(p, first + i) * classes * size, classes, like)
            _copy(goal, vector(goals + i * classes * size, classes, like))
    goal, flat = matrix(goals, count, classes, like), vector(target, count * classes, like)
    if s.kind == SQUARED_ERROR:
        _subtract(vector(source, flat.size, like), vector(goals, flat.size, like), flat)
    else:
        if p.classes > 0:
            for i in range(count):
                labels[i] = largest_of(goal[i])
        else:
            for i in range(count):
                sample = _sample(p, first + i)
                labels[i] = typed(p.targets, sample + 1, np.int64)[sample]
        if s.kind == CROSS_ENTROPY:
            cross_entropy_rows(x, labels, losses, dx, n)
        elif s.kind == DENSE_CROSS_ENTROPY:
            for i in range(count):
                losses[i] = dense_cross_entropy_row(x[i], goal[i], dx[i], n)
        else:
            refuse(p, UNKNOWN_STEP, s.kind)
    for low in range(0, count, UNIT):
        high, hits = min(count, low + UNIT), 0
        unit = typed(p.loss_sums + (first + low) // UNIT * 8, 1, np.float64)
        if s.kind == SQUARED_ERROR:
            unit[0] = 0.5 * sum_of_squares(flat[low * classes : high * classes])
        else:
            unit[0] = sum_of(losses[low:high])
            for i in range(low, high):
                hits += is_right(x[i], labels[i])
        typed(p.hit_sums + (first + low) // UNIT * 8, 1, np.int64)[0] = hits
    if s.kind == SQUARED_ERROR:
        _divide(flat, n)


@serial
def _copy(row, out):
    for j in range(out.size):
        out[j] = row[j]


@serial
def _subtract(x, y, out):
    for i in range(out.size):
        out[i] = x[i] - y[i]


@serial
def _divide(x, n):
    for i in range(x.size):
        x[i] /= n


def _on_rows(real: Any) -> Any:
    def on_rows(data, chunk, worker):
        """Take a segment's steps for some rows."""
        p, like = typed(data, 1, PROGRAM)[0], numba.carray(pointer(0), 0, real)
        rows(p, data, typed(p.steps, p.end, STEP), like, worker)
        return 0

    return on_rows


PARTS = {"on_rows": _on_rows}
