"""Samples of the next step, brought near while the present one is computed.

Rows of a batch stand anywhere in the data set, and to wait for them took a fifth of a step of
784-32-10 on 32 samples. Processors bring a few lines at a time and forget other wishes, so each
thread asks for a few at a time, between the parts of its work, for those rows and columns that it
will copy itself.
"""

import numpy as np

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import typed
from fastnn.kernels.codegen.prefetch import prefetch
from fastnn.kernels.plain.memory import CACHE_LINE
from fastnn.kernels.program.places import bytes_of_data, sample
from fastnn.kernels.program.tables import APART, GATHER
from fastnn.kernels.tuning import COMMON

LINES, MOST = COMMON.ahead_lines, COMMON.ahead_bytes

# What a thread keeps: the next row of the next batch and the last, the next byte of that row, and
# which bytes of a row it brings.
_ROW, _END, _AT, _LEFT, _RIGHT = range(5)


@serial
def _kept(p, worker):
    return typed(p.ahead + worker * APART, _RIGHT + 1, np.int64)


@serial
def aim(p, steps, begin, end, parts, streams):
    """Say what each thread is to bring during the present step.

    `begin` and `end` are the steps of the first segment, `parts` how many parts they come in.
    """
    size = bytes_of_data(p)
    for worker in range(p.workers):
        kept = _kept(p, worker)
        kept[_ROW] = kept[_END] = 0
        if p.order == 0 or worker >= streams:
            continue
        s = steps[begin + worker * parts // streams * ((end - begin) // parts)]
        if s.kind != GATHER:
            continue
        n = max(0, min(p.batch, p.rows - p.first - p.n))
        left, columns, each = s.left, s.columns, max(1, streams // parts)
        if streams < parts:
            left, columns = 0, p.features
        row, last = worker % each * n // each, (worker % each + 1) * n // each
        if (last - row) * columns * size <= MOST:
            kept[_ROW], kept[_END] = row, last
            kept[_LEFT] = kept[_AT] = left * size
            kept[_RIGHT] = (left + columns) * size


@serial
def bring(p, worker):
    """Ask for a few more lines of the thread's share."""
    kept = _kept(p, worker)
    row, end = kept[_ROW], kept[_END]
    if row == end:
        return
    at, right = kept[_AT], kept[_RIGHT]
    address = p.data + sample(p, p.n + row) * p.data_step
    for _ in range(LINES):
        prefetch(address + at)
        at += CACHE_LINE
        if at >= right:
            at, row = kept[_LEFT], row + 1
            if row == end:
                break
            address = p.data + sample(p, p.n + row) * p.data_step
    kept[_ROW], kept[_AT] = row, at
