"""What steps and updates share: where rows stand, what is claimed, what is refused."""

import numpy as np

from fastnn.kernels.codegen.atomics import add, load, pause
from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import typed
from fastnn.kernels.program.tables import APART, FLOAT32, FLOAT64
from fastnn.kernels.threading.clock import now
from fastnn.kernels.tuning import COMMON

# Nanoseconds after which a thread that has claimed nothing more is taken to stand still.
STALLED = COMMON.program_stalled


@serial
def refuse(p, what, number):
    """Note what is unknown: the run stops before anything more is done."""
    p.unknown, p.unknown_number = what, number


@serial
def claim(p, stream):
    """Return how much of a stream was claimed before, and claim the next."""
    return add(p.claims + stream * APART, 1)


@serial
def wait_while_taken(p, stream, total):
    """Wait as long as another thread goes on with its stream; `total` is dealt out to streams.

    Its numbers are in its cache: to fetch them takes longer than that thread needs, now and in the
    next step. One that has not begun, or stands still, is not waited for.
    """
    counter, count = p.claims + stream * APART, (total - stream + p.streams - 1) // p.streams
    seen, end = load(counter), now() + STALLED
    while 0 < seen < count and now() < end:
        pause()
        latest = load(counter)
        if latest != seen:
            seen, end = latest, now() + STALLED


@serial
def place(address, local, first, own, step):
    """Return where the rows of an array begin that are sample `first` of a batch and the next.

    `own` is the first row of the thread in local arrays, `step` the bytes of a row.
    """
    return address + (own if local else first) * step


@serial
def bytes_of_data(p):
    """Return the bytes of a number of the data set."""
    return 4 if p.data_kind == FLOAT32 else 8 if p.data_kind == FLOAT64 else 1


@serial
def sample(p, row):
    """Return where a row of the batch stands in the data set, or one of the batches behind it."""
    return typed(p.order, p.first + row + 1, np.int64)[p.first + row] if p.order else row
