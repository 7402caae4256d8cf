"""Dropout, with a counter-based generator: element i of call `step` has its own number.

The generator is Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as
easy as 1, 2, 3", SC 2011). Its key is the seed; its counter is the block number (low, high)
and the step (low, high); each block gives four 32-bit words, for four neighbouring elements.
So the mask depends on seed, step and position alone: not on dtype, threads or vector width.
"""

import numpy as np

from fastnn.kernels.compile import serial
from fastnn.kernels.driver import LINE, kernel

__all__ = ["dropout", "dropout_backward", "dropout_inference"]

_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
# Multipliers and key increments (table 2 and section 3.2 of the paper).
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@serial
def _philox(block, step, seed):
    """Return the four words of a block, each a 32-bit number in a uint64."""
    c0, c1 = block & _LOW, block >> _SHIFT
    c2, c3 = step & _LOW, step >> _SHIFT
    k0, k1 = seed & _LOW, seed >> _SHIFT
    for _ in range(10):
        product0, product1 = c0 * _M0, c2 * _M1
        c0, c1 = (product1 >> _SHIFT) ^ c1 ^ k0, product1 & _LOW
        c2, c3 = (product0 >> _SHIFT) ^ c3 ^ k1, product0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@kernel("x.size", LINE)
def dropout(x, ratio, seed, step, scale, out, mask, start, stop):
    """Zero each element with probability `ratio`, scale the others; mask says which are kept."""
    x, out, mask = x[start:stop], out[start:stop], mask[start:stop]
    zero, kept = x.dtype.type(0), x.dtype.type(scale)
    threshold = np.uint64(ratio * 4294967296.0)  # a word is below it with probability `ratio`
    first = np.uint64(start // 4)  # start is a multiple of LINE
    whole = x.size // 4
    for b in range(whole):
        words = _philox(first + np.uint64(b), step, seed)
        for k in range(4):
            mask[4 * b + k] = words[k] >= threshold
    words = _philox(first + np.uint64(whole), step, seed)
    for k in range(x.size - 4 * whole):
        mask[4 * whole + k] = words[k] >= threshold
    for i in range(x.size):
        out[i] = x[i] * (kept if mask[i] else zero)


@kernel("dout.size", LINE)
def dropout_backward(dout, mask, scale, dx, start, stop):
    """Scale the gradients of the kept elements, zero the others."""
    dout, mask, dx = dout[start:stop], mask[start:stop], dx[start:stop]
    zero, kept = dout.dtype.type(0), dout.dtype.type(scale)
    for i in range(dout.size):
        dx[i] = dout[i] * (kept if mask[i] else zero)


@kernel("x.size", LINE)
def dropout_inference(x, scale, out, start, stop):
    """Scale every element."""
    x, out = x[start:stop], out[start:stop]
    factor = x.dtype.type(scale)
    for i in range(x.size):
        out[i] = x[i] * factor
