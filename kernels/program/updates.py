"""The updates of a training program: gradients of parameters, the optimizer's rule, packing.

An update takes some rows of a weight matrix, or a whole vector, through all that there is to do
with them, so that a gradient is still in the cache when it is used.
"""

from typing import Any

import numba
import numpy as np

from fastnn.kernels.codegen.atomics import call
from fastnn.kernels.codegen.compile import row_sum, serial
from fastnn.kernels.codegen.fused import multiply_add
from fastnn.kernels.codegen.memory import matrix, pointer, typed, vector
from fastnn.kernels.gemm.packing import pack_panels, pack_transposed
from fastnn.kernels.gemm.sizes import (
    ROWS,
    TRANSPOSED_A,
    may_skip,
    packs_a,
    panels,
    tile_columns,
)
from fastnn.kernels.layers.affine import add_columns
from fastnn.kernels.program.ahead import bring
from fastnn.kernels.program.places import claim, refuse, wait_while_taken
from fastnn.kernels.program.tables import (
    APPLY,
    BIAS,
    COMPUTE,
    NORM,
    PACK,
    PROGRAM,
    UNIT,
    UNKNOWN_UPDATE,
    UPDATE,
    WEIGHTS,
)
from fastnn.kernels.tuning import COMMON

# Rows of a gradient after which samples of the next step are asked for: whole tiles.
_ROWS_AT_ONCE = max(1, COMMON.ahead_rows // ROWS) * ROWS


@serial
def update(p, u, like, worker):
    """Do the present stages of an update."""
    if u.kind != WEIGHTS and u.kind != BIAS and u.kind != NORM:
        refuse(p, UNKNOWN_UPDATE, u.kind)
        return
    numbers, gradient = vector(u.p, u.size, like), vector(u.g, u.size, like)
    if p.stage & COMPUTE:
        if p.slots_now == 0 and u.kind == WEIGHTS:
            _multiply(p, u, like, worker)
        elif p.slots_now == 0 and u.kind == BIAS:
            gradient[:] = 0
            add_columns(matrix(u.dz, p.n, u.h, like), gradient, 0)
        if p.penalties != 0 and u.penalised:
            _sum_squares(p, u, numbers, p.weight_squares)
        elif u.sums != 0:
            _sum_units(p, u, gradient)
        _adjust(numbers, gradient, p.penalty if u.penalised else 0.0, p.clip_value)
        if p.clip_norm > 0:
            _sum_squares(p, u, gradient, p.squares)
    if p.stage & APPLY:
        if p.shrink != 1:
            _shrink(gradient, p.shrink)
        call(p.on_rule, (u.arrays, u.size, p.settings))
        bring(p, worker)
        if u.average != 0:
            _follow(vector(u.average, u.size, like), numbers, p.decay)
    if p.stage & PACK and u.kind == WEIGHTS:
        _pack(u, like)


@serial
def _multiply(p, u, like, worker):
    """Compute the gradient of some rows of W, a few at a time where nothing must be looked for."""
    size = like.itemsize
    scratch = p.scratch + worker * p.scratch_size * size
    step = u.bottom - u.top
    if not may_skip(u.d, p.n, u.h, size) and not packs_a(u.d, p.n, u.h, size):
        step = _ROWS_AT_ONCE
    for top in range(u.top, u.bottom, step):
        bottom = min(u.bottom, top + step)
        call(
            p.product,
            (
                u.source, u.d, u.dz, u.h, u.dz_packed, 0, u.dW, u.h, u.d, p.n, u.h, TRANSPOSED_A,
                top, bottom, 0, u.h, scratch,
            ),
        )  # fmt: skip
        bring(p, worker)


@serial
def sum_slots(p, like):
    """Add to the first slot's gradients those of the others."""
    total = vector(p.gradients, p.slot_step, like)
    for slot in range(1, p.slots_now):
        other = vector(p.gradients + slot * p.slot_step * like.itemsize, p.slot_step, like)
        for i in range(total.size):
            total[i] += other[i]


@serial
def _sum_units(p, u, gradient):
    """Add up what steps have left of each unit."""
    gradient[:] = 0
    for unit in range((p.n + UNIT - 1) // UNIT):
        other = vector(u.sums + unit * u.sums_step * gradient.itemsize, u.size, gradient)
        for i in range(gradient.size):
            gradient[i] += other[i]


@serial
def _adjust(p, g, penalty, clip):
    """Add the gradient of the penalty on weights, then clip, each where asked for."""
    real = p.dtype.type
    factor, bound = real(penalty), real(clip)
    if penalty > 0:
        for i in range(p.size):
            g[i] += factor * p[i]
    if clip > 0:
        for i in range(p.size):
            d = g[i]
            d = bound if d > bound else d
            g[i] = -bound if d < -bound else d


@serial
def _sum_squares(p, u, numbers, sums):
    """Leave the sums of squares of an update's numbers, each where it belongs."""
    squares = typed(sums, p.n_squares, np.float64)
    for i in range(0, u.size, u.square_size):
        part = numbers[i : min(u.size, i + u.square_size)]
        squares[u.square + i // u.square_size] = _sum_of_squares(part)


@row_sum
def _sum_of_squares(g):
    total = 0.0
    for i in range(g.size):
        total += np.float64(g[i]) * np.float64(g[i])
    return total


@serial
def _shrink(g, factor):
    factor_ = g.dtype.type(factor)
    for i in range(g.size):
        g[i] *= factor_


@serial
def _follow(average, p, decay):
    old, new = p.dtype.type(decay), p.dtype.type(1 - decay)
    for i in range(p.size):
        average[i] = multiply_add(old, average[i], new * p[i])


@serial
def _pack(u, like):
    """Pack the rows of W, and the columns that they are of its transpose, for products."""
    W = matrix(u.W, u.d, u.h, like)
    if u.packed != 0:
        packed = vector(u.packed, (u.h + tile_columns(W)) * u.d, like)
        pack_panels(W[u.top : u.bottom], packed, u.top, u.d, 0, panels(W, u.h))
    if u.transposed != 0:
        transposed = vector(u.transposed, (u.d + tile_columns(W)) * u.h, like)
        last = (u.bottom + tile_columns(W) - 1) // tile_columns(W)
        pack_transposed(W, transposed, u.top // tile_columns(W), last)


def _on_updates(real: Any) -> Any:
    def on_updates(data, chunk, worker):
        """Do updates of the thread's stream, and then what is left of those of others.

        From step to step a thread mostly has the same ones, whose numbers are in its cache.
        """
        p, like = typed(data, 1, PROGRAM)[0], numba.carray(pointer(0), 0, real)
        updates = typed(p.updates, p.n_updates, UPDATE)
        if p.stage & COMPUTE and p.slots_now > 0:  # then there is one stream
            sum_slots(p, like)
        for i in range(p.streams):
            stream = (worker + i) % p.streams
            if i > 0:
                wait_while_taken(p, stream, p.n_updates)
            index = stream + claim(p, stream) * p.streams
            while index < p.n_updates:
                update(p, updates[index], like, worker)
                index = stream + claim(p, stream) * p.streams
        return 0

    return on_updates


PARTS = {"on_updates": _on_updates}
