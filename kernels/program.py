"""A training program: many steps of mini-batch training in one call.

What is to be done stands in tables (:mod:`fastnn.kernels.program_tables`), so that nothing is
compiled for a network. A step of training goes through the segments, each the work of all threads
on rows of the batch, and then through the updates of all parameters. Between them threads wait
for each other, and nowhere else.
"""

import numpy as np

from fastnn.kernels.atomics import call, task
from fastnn.kernels.clock import now
from fastnn.kernels.compile import entry, serial
from fastnn.kernels.memory import typed
from fastnn.kernels.pool import share, stay_awake
from fastnn.kernels.program_steps import finish_step, rows
from fastnn.kernels.program_tables import APPLY, COMPUTE, PACK, UNIT
from fastnn.kernels.program_updates import update
from fastnn.kernels.simd import flush_denormals, restore_denormals
from fastnn.kernels.threads import LATE, LONGEST_REST, REST


@entry
def run(program, segments, steps, updates, settings, rates, losses, hits, like):
    """Take as many steps as there are rates; leave a loss and a number of right answers of each.

    Parameters
    ----------
    program, segments, steps, updates : arrays of PROGRAM, SEGMENT, STEP, UPDATE
    settings : array of float64
        The optimizer's, as its rule takes them, without the number of the step.
    rates, losses : arrays of float64
    hits : array of int64
    like : array
        Of the network's type.
    """
    p = program[0]
    mode = flush_denormals()
    on_rows, rows_data, _ = task(rows, (program, steps, like))
    on_updates, updates_data, _ = task(update, (program, updates, settings, like))
    threads = max(p.row_threads, p.update_threads)
    stay_awake(1 if threads > 1 else 0)
    p.first = 0
    p.stage = PACK
    for index in range(len(updates)):
        call(on_updates, updates_data, index, 0)
    for i in range(len(rates)):
        start = now()
        shared = threads > 1 and start >= p.serial_until
        p.n = min(p.batch, p.rows - p.first)
        units = (p.n + UNIT - 1) // UNIT
        p.chunks = min(p.row_threads, units) if shared else 1
        p.slots_now = min(p.slots, units)
        for segment in segments:
            p.begin, p.end = segment.begin, segment.end
            share(on_rows, rows_data, p.chunks)
            if segment.finish >= 0:
                finish_step(p, steps[segment.finish], like)
        losses[i] = typed(p.loss_sums, units, np.float64).sum() / p.n
        hits[i] = typed(p.hit_sums, units, np.int64).sum()
        if len(updates) > 0:
            p.iteration += 1
            p.rate = rates[i]
            _update_all(p, on_updates, updates_data, len(updates), shared)
        p.passes += 1
        p.first += p.n
        p.done = i + 1
        if shared and p.n == p.batch:
            _note_time(p, start, now())
    stay_awake(-1 if threads > 1 else 0)
    restore_denormals(mode)


@serial
def _update_all(p, function, data, count, shared):
    p.shrink = 1.0
    p.stage = COMPUTE | APPLY | PACK
    if p.clip_norm > 0:
        p.stage = COMPUTE
        _for_all(p, function, data, count, shared)
        norm = np.sqrt(typed(p.squares, count, np.float64).sum())
        if norm > p.clip_norm:
            p.shrink = p.clip_norm / norm
        p.stage = APPLY | PACK
    _for_all(p, function, data, count, shared)


@serial
def _for_all(p, function, data, count, shared):
    if shared and p.update_threads > 1:
        share(function, data, count)
    else:
        for index in range(count):
            call(function, data, index, 0)


@serial
def _note_time(p, start, end):
    """Go on alone for a time after a step that was late: some thread was kept from running."""
    elapsed = end - start
    fastest = elapsed if p.fastest == 0 else min(p.fastest, elapsed)
    late = elapsed - 2 * fastest - LATE
    if late > 0:
        p.serial_until = end + min(REST * late, LONGEST_REST)
        fastest += fastest // 8  # the machine may have become slower for good
    p.fastest = fastest
