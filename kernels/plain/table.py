"""The table in which calls are shared out, as Python sees it; see :mod:`pool`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels.plain.memory import CACHE_LINE, aligned

# Neighbouring chunks of a flat array meet at a multiple of this many elements: a cache line
# of the smallest type, a byte, so that no two threads write to one line.
LINE = CACHE_LINE

# Offsets in the table. What is written apart stands on cache lines of their own (two, as
# processors fetch pairs).
OWNER = 0  # 1 while a call has the table
TICKET = 128  # number of the job << 32 | number of chunks << 16 | chunks claimed
DONE = 256  # chunks finished
FUNCTION, DATA = 384, 392
HELPERS = 512  # helpers from this index on claim nothing
WORKERS = 528  # threads from this number on claim nothing of the present job
AWAKE = 520  # helpers below this index do not go to sleep
RESTS = 536  # but while this is not 0 they do
DISTRIBUTE = 544  # where the function begins that shares out; 0 while there are no helpers
_SIZE, _BOUNDARY = 640, 128

MOST_CHUNKS = 0xFFFF  # that a ticket can count


words: Any = aligned(np.zeros(_SIZE + _BOUNDARY, np.uint8), _SIZE, _BOUNDARY).view(np.int64)


def address() -> int:
    """Return where the table begins."""
    return int(words.ctypes.data)


def reset() -> None:
    """Forget a job in progress: in a forked child, whose parent's threads do not exist."""
    words[:] = 0


def is_awake(index: int) -> bool:
    """Say whether a helper is to stay awake."""
    return bool(index < words[AWAKE // 8] and words[RESTS // 8] <= 0)


def keep_awake(count: int) -> None:
    """Keep the first so many helpers from going to sleep."""
    words[AWAKE // 8] = count


def set_distribute(function: int) -> None:
    """Let calls be shared out by the function at an address."""
    words[DISTRIBUTE // 8] = function


def set_helpers(n: int) -> None:
    """Let n threads help."""
    words[HELPERS // 8] = n
