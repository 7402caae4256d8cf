"""Dropout, with a counter-based generator: element i of call `step` has its own number.

The mask depends on seed, step and position alone: not on dtype, threads or vector width.
"""

import numpy as np

from fastnn.kernels.codegen.compile import inlined, serial
from fastnn.kernels.codegen.memory import typed
from fastnn.kernels.codegen.raw import WORD, stack
from fastnn.kernels.plain.table import LINE
from fastnn.kernels.random.philox import keep
from fastnn.kernels.random.sizes import BLOCKS, WORDS
from fastnn.kernels.threading.driver import kernel

__all__ = ["dropout", "dropout_backward", "dropout_inference"]

_LAST = -(-WORDS // WORD)  # of the stack, for the booleans that a block has more than a mask


@serial
def draw(mask, start, ratio, seed, step, last):
    """Write to mask which elements are kept, `start` (a multiple of 4) and those after it.

    `last` is memory for WORDS booleans.
    """
    threshold = np.uint64(ratio * 4294967296.0)  # a word is below it with probability `ratio`
    block = np.uint64(start // 4)
    whole = mask.size // WORDS
    for i in range(whole):
        keep(block, step, seed, threshold, mask.ctypes.data + i * WORDS)
        block += np.uint64(BLOCKS)
    if whole * WORDS < mask.size:
        keep(block, step, seed, threshold, last.ctypes.data)
        for i in range(whole * WORDS, mask.size):
            mask[i] = last[i - whole * WORDS]


@inlined
def drop_each(x, mask, scale, out):
    """Write x times the scale where the mask is set, else zero; x and out may be one array."""
    zero, kept = x.dtype.type(0), x.dtype.type(scale)
    for i in range(x.size):
        out[i] = x[i] * (kept if mask[i] else zero)


@kernel("x.size", LINE)
def dropout(x, ratio, seed, step, scale, out, mask, start, stop):
    """Zero each element with probability `ratio`, scale the others; mask says which are kept."""
    x, out, mask = x[start:stop], out[start:stop], mask[start:stop]
    draw(mask, start, ratio, seed, step, typed(stack(_LAST), WORDS, np.bool_))
    drop_each(x, mask, scale, out)


@kernel("dout.size", LINE)
def dropout_backward(dout, mask, scale, dx, start, stop):
    """Scale the gradients of the kept elements, zero the others."""
    dout, mask, dx = dout[start:stop], mask[start:stop], dx[start:stop]
    drop_each(dout, mask, scale, dx)


@kernel("x.size", LINE)
def dropout_inference(x, scale, out, start, stop):
    """Scale every element."""
    x, out = x[start:stop], out[start:stop]
    factor = x.dtype.type(scale)
    for i in range(x.size):
        out[i] = x[i] * factor
