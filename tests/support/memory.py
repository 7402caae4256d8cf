"""How much memory something takes."""

import tracemalloc
from contextlib import contextmanager


@contextmanager
def peak_memory():
    """Yield a list that has, after the block, the most bytes that there were at once in it."""
    peak = []
    tracemalloc.start()
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
