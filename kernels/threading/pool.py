"""How threads share out the chunks of a call.

A call posts a job in a table that all threads see: an address to call, and how many chunks
there are. Whoever is free claims the next chunk, the caller too. The caller waits only for
chunks that another thread has claimed and not finished: a thread that sleeps, or that another
process keeps from running, holds nothing up. One call at a time is shared out; one that comes
in meanwhile, from another Python thread, does all its chunks itself.

The threads that help run :func:`serve`. While they find nothing to do they look again for a
short time, and then return, to sleep until they are woken.
"""

from __future__ import annotations

import llvmlite.binding as llvm
import numpy as np

from fastnn.kernels.codegen.atomics import (
    add,
    call,
    give_way,
    load,
    nap,
    pause,
    replace,
    store,
    symbol,
)
from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.denormals import flush_denormals, restore_denormals
from fastnn.kernels.codegen.raw import ask, word
from fastnn.kernels.plain.table import (
    AWAKE,
    DATA,
    DISTRIBUTE,
    DONE,
    FUNCTION,
    HELPERS,
    MOST_CHUNKS,
    OWNER,
    RESTS,
    TICKET,
    WORKERS,
    address,
)
from fastnn.kernels.threading.clock import now
from fastnn.kernels.tuning import COMMON

# How often a helper looks for work before it goes to sleep, and after how many looks it lets
# others have its processor.
PATIENCE, SPINS = COMMON.patience, COMMON.spins
# The same for one that hurries; and nanoseconds: after how many another thread has had the
# processor, and for how many a caller leaves its own at a time.
HURRY, CROWDED, NAP = COMMON.hurry, COMMON.crowded, COMMON.nap

# What machine code refers to: where it says where the table is, as a library cannot know that.
_place = np.array([address()], np.int64)
llvm.add_symbol("fastnn_pool", _place.ctypes.data)
_symbol = symbol("fastnn_pool")


@serial
def _table():
    """Return where the table begins."""
    return word(_symbol())


@serial
def _take_part(table, worker):
    """Run chunks of the job in the table until all are claimed; return how many it were."""
    count = 0
    ticket = load(table + TICKET)
    while ticket & 0xFFFF < (ticket >> 16) & 0xFFFF:
        # These belong to the ticket if it is still there: a job ends after its last claim.
        function, data = load(table + FUNCTION), load(table + DATA)
        if worker >= load(table + WORKERS):
            break
        if replace(table + TICKET, ticket, ticket + 1):
            call(function, (data, ticket & 0xFFFF, worker))
            add(table + DONE, 1)
            count += 1
        ticket = load(table + TICKET)
    return count


@serial
def _wait(table, chunks, piece):
    """Wait until all chunks are done, each of which takes about so many nanoseconds here.

    A helper that takes twice as long has lost its processor: it may have the caller's meanwhile.
    """
    patience, waited = now() + piece, 0
    while load(table + DONE) != chunks:
        waited += 1
        if waited % SPINS != 0:
            pause()
        elif now() < patience:
            give_way()
        else:
            nap(NAP)


@serial
def workers(chunks):
    """Return how many threads may take part in a call of so many chunks."""
    return min(chunks, load(_table() + HELPERS) + 1)


@serial
def share(function, data, chunks, workers):
    """Call the function for each chunk, on all threads that are free.

    Each call is told which thread it runs on: 0 is the caller, 1 the first helper, and so on,
    below `workers`: a job that has memory for each thread has it for so many.
    """
    if chunks == 1:
        call(function, (data, 0, 0))
        return
    others = load(_table() + DISTRIBUTE)
    if others != 0:
        ask(others, (function, data, chunks, workers))
    else:
        for chunk in range(chunks):
            call(function, (data, chunk, 0))


def distribute(function, data, chunks, workers):
    """Do as :func:`share`: it is compiled once, and the table says where it is."""
    table = _table()
    if chunks <= MOST_CHUNKS and replace(table + OWNER, 0, 1):
        store(table + FUNCTION, function)
        store(table + DATA, data)
        store(table + WORKERS, workers)
        store(table + DONE, 0)
        number = ((load(table + TICKET) >> 32) + 1) & 0x7FFFFFFF
        store(table + TICKET, number << 32 | chunks << 16)
        start = now()
        count = _take_part(table, 0)
        _wait(table, chunks, (now() - start) // max(count, 1))
        store(table + OWNER, 0)
    else:
        for chunk in range(chunks):
            call(function, (data, chunk, 0))
    return 0


@serial
def let_sleep(count):
    """Let helpers sleep although they are to stay awake: 1 begins it, -1 ends it."""
    add(_table() + RESTS, count)


def serve(index, hurries):
    """Take part in jobs until there has been none for a while.

    Returns 1 where another thread has had the processor meanwhile, else 0: one that gives way then
    gets it back milliseconds later. So a helper that hurries does not give way, but sleeps as soon
    as no call is under way, and is woken for the next.
    """
    table = _table()
    mode = flush_denormals()
    idle, looks, crowded = 0, 0, 0
    patience = HURRY if hurries else PATIENCE
    while idle < patience:
        helps = index < load(table + HELPERS)
        if helps and _take_part(table, index + 1) > 0:
            idle, looks = 0, 0
        if hurries and load(table + OWNER) != 0:
            idle = 0  # the call's next step comes when the others have done this one
        stays = helps and index < load(table + AWAKE) and load(table + RESTS) <= 0
        idle += 1
        looks += 1
        if looks % SPINS != 0 or (hurries and looks < PATIENCE):
            pause()
        else:
            start = now()
            give_way()
            if now() - start > CROWDED and not stays:
                crowded = 1
                break
        if stays and idle >= patience:
            idle = 0
    restore_denormals(mode)
    return crowded


PARTS = {"serve": serve, "distribute": distribute}
