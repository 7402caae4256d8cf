"""The steps of a training program for dropout."""

import numpy as np

from fastnn.kernels.codegen.compile import inlined, serial
from fastnn.kernels.codegen.memory import typed, vector
from fastnn.kernels.layers.dropout import draw, drop_each
from fastnn.kernels.program.making import step_of
from fastnn.kernels.program.places import place
from fastnn.kernels.random.sizes import WORDS


@inlined
def _mask(p, s, first, count, worker):
    own = worker * p.block
    return typed(place(s.other, s.other_local, first, own, s.d), count * s.d, np.bool_)


@serial
def _drop(p, s, first, count, worker, mask, like):
    size, own = like.itemsize, worker * p.block
    source = place(s.source, s.source_local, first, own, s.d * size)
    target = place(s.target, s.target_local, first, own, s.d * size)
    y = vector(target, count * s.d, like)
    if source == target:  # one array to the compiler, too
        drop_each(y, mask, s.scale, y)
    else:
        drop_each(vector(source, count * s.d, like), mask, s.scale, y)


@serial
def drop(p, s, first, count, worker, like):
    """Draw a mask, and drop elements of some rows."""
    mask = _mask(p, s, first, count, worker)
    last = typed(p.scratch + worker * p.scratch_size * like.itemsize, WORDS, np.bool_)
    draw(mask, first * s.d, s.ratio, s.seed, np.uint64(s.calls + p.passes), last)
    _drop(p, s, first, count, worker, mask, like)


@serial
def drop_by_mask(p, s, first, count, worker, like):
    """Drop elements of some rows, or gradients, by a mask that is there."""
    _drop(p, s, first, count, worker, _mask(p, s, first, count, worker), like)


PARTS = {"step_of_dropout": step_of(drop), "step_of_mask": step_of(drop_by_mask)}
