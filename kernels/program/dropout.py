"""The steps of a training program for dropout."""

import numpy as np

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import typed, vector
from fastnn.kernels.layers.dropout import draw, drop_each
from fastnn.kernels.program.tables import DROPOUT, DROPOUT_SLOPE, UNKNOWN_STEP, place, refuse
from fastnn.kernels.random.philox import WORDS


@serial
def dropout(p, s, first, count, worker, like):
    """Drop elements of some rows, or their gradients."""
    if s.kind != DROPOUT and s.kind != DROPOUT_SLOPE:
        refuse(p, UNKNOWN_STEP, s.kind)
        return
    size, own = like.itemsize, worker * p.block
    source = place(s.source, s.source_local, first, own, s.d * size)
    target = place(s.target, s.target_local, first, own, s.d * size)
    mask = typed(place(s.other, s.other_local, first, own, s.d), count * s.d, np.bool_)
    if s.kind == DROPOUT:
        last = typed(p.scratch + worker * p.scratch_size * size, WORDS, np.bool_)
        draw(mask, first * s.d, s.ratio, s.seed, np.uint64(s.calls + p.passes), last)
    x, y = vector(source, count * s.d, like), vector(target, count * s.d, like)
    if source == target:
        drop_each(y, mask, s.scale, y)
    else:
        drop_each(x, mask, s.scale, y)
