"""What steps and updates share: where rows stand, what is claimed, what is refused."""

import numpy as np

from fastnn.kernels.codegen.atomics import add
from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import typed
from fastnn.kernels.program.tables import APART, FLOAT32, FLOAT64


@serial
def refuse(p, what, number):
    """Note what is unknown: the run stops before anything more is done."""
    p.unknown, p.unknown_number = what, number


@serial
def claim(p, stream):
    """Return how much of a stream was claimed before, and claim the next."""
    return add(p.claims + stream * APART, 1)


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
