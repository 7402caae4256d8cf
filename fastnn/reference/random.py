"""Random integers of 64 bits each, with the generator of dropout.

The product of n and 64 random bits, without its last 64 bits, is in [0, n) (Lemire, "Fast random
integer generation in an interval", 2019, without rejection).
"""

from __future__ import annotations

import numpy as np

from fastnn._utils.types import Labels
from fastnn.reference._philox import philox


def _numbers(count: int, seed: int, step: int) -> list[int]:
    """Return integers of 64 random bits, each of two words, the low one first."""
    words = philox(np.arange(-(-count // 2), dtype=np.uint64), step, seed).reshape(-1, 2)
    pairs: list[int] = (words[:count, 0] | words[:count, 1] << np.uint64(32)).tolist()
    return pairs


def choices(n: int, seed: int, step: int, out: Labels) -> None:
    """Draw from range(n), with replacement: out[i] = n number[i] / 2^64, rounded down."""
    out[...] = [number * n >> 64 for number in _numbers(out.size, seed, step)]


def permutation(seed: int, step: int, out: Labels) -> None:
    """Shuffle range(out.size): swap each i with one of those from i on (Fisher and Yates)."""
    out[...] = range(out.size)
    for i, number in enumerate(_numbers(out.size, seed, step)):
        j = i + (number * (out.size - i) >> 64)
        out[i], out[j] = out[j], out[i]
