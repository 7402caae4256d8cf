"""Random integers, with the counter-based generator: number i of call `step` is its own.

Each is made of 64 random bits, by multiplication (Lemire, "Fast random integer generation in an
interval", 2019, without rejection): a result is off its probability 1 / n by n / 2^64 at most,
relative to it.
"""

import numpy as np

from fastnn.kernels.codegen.memory import typed
from fastnn.kernels.codegen.raw import stack
from fastnn.kernels.plain.table import LINE
from fastnn.kernels.random.philox import below, draw
from fastnn.kernels.random.sizes import BLOCKS, PAIRS
from fastnn.kernels.threading.driver import kernel

__all__ = ["choices", "permutation"]


@kernel("out.size", LINE)
def choices(n, seed, step, out, start, stop):
    """Draw from range(n), with replacement."""
    numbers = typed(stack(PAIRS), PAIRS, np.uint64)
    out = out[start:stop]
    block = np.uint64(start // 2)  # start is a multiple of LINE
    for first in range(0, out.size, PAIRS):
        draw(block, step, seed, numbers.ctypes.data)
        block += np.uint64(BLOCKS)
        for i in range(min(PAIRS, out.size - first)):
            out[first + i] = below(numbers[i], n)


# One swap follows from the other: there is nothing to cut.
@kernel("1")
def permutation(seed, step, out, start, stop):
    """Shuffle range(out.size) (Fisher and Yates)."""
    if start == stop:
        return
    for i in range(out.size):
        out[i] = i
    numbers = typed(stack(PAIRS), PAIRS, np.uint64)
    block = np.uint64(0)
    for first in range(0, out.size - 1, PAIRS):
        draw(block, step, seed, numbers.ctypes.data)
        block += np.uint64(BLOCKS)
        for i in range(first, min(first + PAIRS, out.size - 1)):
            j = i + below(numbers[i - first], out.size - i)
            out[i], out[j] = out[j], out[i]
