"""A training program: many steps of mini-batch training in one call.

What is to be done stands in tables (:mod:`fastnn.kernels.program.tables`), so that nothing is
compiled for a network. A step of training goes through the segments, each the work of all threads
on rows of the batch, and then through the updates of all parameters. Between them threads wait
for each other, and nowhere else.
"""

import numpy as np

from fastnn.kernels.codegen.atomics import call, store
from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.denormals import flush_denormals, restore_denormals
from fastnn.kernels.codegen.memory import typed
from fastnn.kernels.gemm.sizes import ROWS
from fastnn.kernels.program.ahead import aim
from fastnn.kernels.program.places import refuse, sample
from fastnn.kernels.program.tables import (
    APART,
    APPLY,
    COMPUTE,
    GRADIENTS,
    PACK,
    PROGRAM,
    SEGMENT,
    STEP,
    UNIT,
    UNKNOWN_STEP,
    UPDATED,
)
from fastnn.kernels.threading.clock import now
from fastnn.kernels.threading.pool import let_sleep, share
from fastnn.kernels.threading.threads import LATE, LONGEST_REST, REST
from fastnn.kernels.tuning import COMMON

# A helper may be kept from running by another process, in the middle of its part of a step, and
# then all wait for it. So steps are also taken alone, the first few and one in so many, to know
# how long that takes. A machine that is not busy loses 0.4 % by this.
FIRST, EVERY = COMMON.alone_first, COMMON.alone_every

# Pieces of a batch for each thread, at least: one that has finished its own takes over what
# another does not get to.
PIECES = COMMON.program_pieces


def run(data, segments, n_segments, settings, n_settings, steps, losses, hits):
    """Take steps; leave a loss and a number of right answers of each.

    Where the program says so it stops at a loss that is not finite, without updates of that step.
    It stops at what is unknown, such as a kind of step, without updates of that step: `unknown` of
    the program then says what it was, and its number.

    Parameters
    ----------
    data, segments : int
        Addresses of a PROGRAM, and of so many SEGMENT.
    settings : int
        The address of those that the update rule takes, float64 numbers: so many for each step.
    losses, hits : int
        Addresses of memory for so many numbers as there are steps, of float64 and int64.
    """
    p, parts = typed(data, 1, PROGRAM)[0], typed(segments, n_segments, SEGMENT)
    steps_ = typed(p.steps, max(1, parts[n_segments - 1].end), STEP)
    losses_, hits_ = typed(losses, steps, np.float64), typed(hits, steps, np.int64)
    mode = flush_denormals()
    threads = max(p.row_threads, p.update_threads)
    p.first, p.unknown, resting = 0, 0, False
    p.stage = PACK
    _update_each(p, data, threads > 1)
    for i in range(steps):
        start = now()
        if (threads > 1 and start < p.alone_until) != resting:
            resting = not resting
            let_sleep(1 if resting else -1)
        shared = threads > 1 and start >= p.alone_until and p.taken >= FIRST
        shared = shared and p.taken % EVERY != 0
        p.n = min(p.batch, p.epoch - p.first % p.epoch)
        units = (p.n + UNIT - 1) // UNIT
        streams = min(p.row_threads, units) if shared else 1
        p.slots_now = min(p.slots, units)
        p.pieces = 1 if streams == 1 else min(units, max(PIECES * streams, -(-p.n // p.block)))
        if p.slots_now > 0:
            p.pieces = p.slots_now
            streams = min(streams, p.pieces)
        p.mass = p.n if p.weights == 0 else _mass(p)
        if p.alpha > 0:
            p.penalty = p.alpha / p.mass
        pieces, threads_now = p.pieces, p.row_threads if shared else 1
        aim(p, steps_, parts[0].begin, parts[0].end, parts[0].parts, threads_now)
        for j in range(n_segments):
            p.begin, p.end, p.finish = parts[j].begin, parts[j].end, parts[j].finish
            p.parts, p.pieces = parts[j].parts, pieces
            if p.parts > 1:
                _cut_into_parts(p, threads_now)
                _share(p, p.on_rows, data, min(threads_now, p.pieces))
            else:
                _share(p, p.on_rows, data, streams)
            if p.finish >= 0 and p.unknown == 0:
                _finish(p, data)
            if p.unknown != 0:
                break
        if p.unknown != 0:
            break
        losses_[i] = typed(p.loss_sums, units, np.float64).sum() / p.mass
        hits_[i] = typed(p.hit_sums, units, np.int64).sum()
        if p.stops and not np.isfinite(losses_[i]):
            break
        if p.training == UPDATED:
            p.settings = settings + i * n_settings * 8
            _update_all(p, data, shared)
            if p.penalties != 0:
                squares = typed(p.weight_squares, p.n_squares, np.float64).sum()
                typed(p.penalties, steps, np.float64)[i] = 0.5 * p.penalty * squares
        elif p.training == GRADIENTS:
            p.stage = COMPUTE
            _update_each(p, data, shared)
        if p.unknown != 0:
            break
        p.passes += 1
        p.first += p.n
        p.done = i + 1
        if threads > 1 and p.n == p.batch:
            _note_time(p, shared, start, now())
    if resting:
        let_sleep(-1)
    restore_denormals(mode)
    return 0


PARTS = {"run": run}


@serial
def _cut_into_parts(p, streams):
    """Cut the batch into strips of rows for each part of a segment, and so into pieces."""
    tiles = (p.n + ROWS - 1) // ROWS
    p.adds = streams == 1
    p.strips = 1 if p.adds else min(tiles, max(1, PIECES * streams // p.parts))
    p.pieces = p.parts * p.strips


@serial
def _mass(p):
    """Return the sum of the batch's weights; 1 if all are 0, and so are losses and gradients."""
    total = 0.0
    for row in range(p.n):
        at = sample(p, row)
        total += typed(p.weights, at + 1, np.float64)[at]
    return total if total > 0 else 1.0


@serial
def _finish(p, data):
    """Take the step of the whole batch that comes after a segment."""
    s = typed(p.steps, p.finish + 1, STEP)[p.finish]
    if s.function != 0:
        call(s.function, (data, p.finish, 0, 0, 0))
    else:
        refuse(p, UNKNOWN_STEP, s.kind)


@serial
def _update_all(p, data, shared):
    p.shrink = 1.0
    p.stage = COMPUTE | APPLY | PACK
    if p.clip_norm > 0:
        p.stage = COMPUTE
        _update_each(p, data, shared)
        norm = np.sqrt(typed(p.squares, p.n_squares, np.float64).sum())
        if norm > p.clip_norm:
            p.shrink = p.clip_norm / norm
        p.stage = APPLY | PACK
    _update_each(p, data, shared)


@serial
def _update_each(p, data, shared):
    _share(p, p.on_updates, data, max(1, p.update_threads) if shared else 1)


@serial
def _share(p, function, data, streams):
    p.streams = streams
    for stream in range(streams):
        store(p.claims + stream * APART, 0)
    share(function, data, streams, p.workers)


@serial
def _note_time(p, shared, start, end):
    """Go on alone for a time where sharing has cost more than it gained.

    What was lost is the sum of what shared steps took beyond a step that is taken alone, less
    what they gained, but not below nothing (Page's CUSUM).
    """
    elapsed = end - start
    p.taken += 1
    if not shared:
        if p.alone == 0 or p.taken <= FIRST:
            p.alone = elapsed if p.alone == 0 else min(p.alone, elapsed)
        else:
            p.alone += (min(elapsed, 2 * p.alone) - p.alone) // 4
        return
    p.lost = max(0, p.lost + elapsed - p.alone)
    if p.lost > LATE + p.alone:
        again = end - p.resumed < p.rest
        p.rest = min(2 * p.rest if again else REST * p.lost, LONGEST_REST)
        p.alone_until = p.resumed = end + p.rest
        p.lost = 0
