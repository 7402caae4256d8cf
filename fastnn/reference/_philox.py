"""Philox4x32-10, a counter-based generator of random words.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UInt64 = NDArray[np.uint64]


def philox(block: UInt64, step: int, seed: int) -> UInt64:
    """Return the four 32-bit words of each block: counter (block, step), key seed; (B, 4)."""
    step, seed = int(step), int(seed)
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    c0, c1 = block & low, block >> shift
    c2 = np.full_like(block, step & 0xFFFFFFFF)
    c3 = np.full_like(block, step >> 32)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        product0, product1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1 = (product1 >> shift) ^ c1 ^ np.uint64(k0), product1 & low
        c2, c3 = (product0 >> shift) ^ c3 ^ np.uint64(k1), product0 & low
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1)
