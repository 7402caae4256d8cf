"""The machine's own speed, as calls to be timed beside the rest."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from fastnn.kernels import limits


class Limit(NamedTuple):
    """A call at the limit, and how many operations or bytes it does."""

    run: Callable[[], None]
    work: float


def arithmetic(dtype: DTypeLike, threads: int) -> Limit:
    """Return fused multiply-adds in registers, on all threads, for a tenth of a millisecond."""
    rounds, out = 20_000, np.empty(threads, dtype)
    return Limit(partial(limits.multiply_add, rounds, out, threads), limits.flops(rounds, out))


def copy(footprint: int, threads: int) -> Limit:
    """Return a copy between two arrays that take so many bytes together."""
    # Zeros that were never written to would all lie in one page of the system.
    source, target = (np.ones(max(1, footprint // 8), np.float32) for _ in range(2))
    return Limit(partial(limits.copy, source, target, threads), 2 * source.nbytes)
