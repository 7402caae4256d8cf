"""The machine's own speed, as calls to be timed beside the rest."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from fastnn._bench.case import Variant
from fastnn.kernels import limits
from fastnn.kernels.threading.threads import awake


class Limit(NamedTuple):
    """Calls at the limit, the fastest of which counts, and how many operations or bytes they do."""

    variants: list[Variant]
    work: float


LEAST = 1 << 20  # bytes to copy, so that the call itself does not count

# Pieces of work per thread: where one processor is busy with something else, the others take
# over what it does not get to.
PIECES = 8


def arithmetic(dtype: DTypeLike, threads: int) -> Limit:
    """Return fused multiply-adds in registers, on all threads, for a tenth of a millisecond."""
    pieces = 1 if threads == 1 else PIECES * threads
    rounds, out = 20_000 * threads // pieces, np.empty(pieces, dtype)

    def run() -> list[Any]:
        with awake(threads - 1):
            limits.multiply_add(rounds, out, pieces)
        return []

    return Limit([Variant("FMA", run)], limits.flops(rounds, out))


def copy(footprint: int, threads: int) -> Limit:
    """Return copies between two arrays that take so many bytes together."""
    # Zeros that were never written to would all lie in one page of the system.
    source, target = (np.ones(max(1, footprint // 8), np.float32) for _ in range(2))
    rounds = max(1, LEAST // source.nbytes)

    def variant(kernel: Any, pieces: int) -> Variant:
        def run() -> list[Any]:
            with awake(threads - 1 if pieces > 1 else 0):
                kernel(rounds, source, target, pieces)
            return []

        return Variant(f"{kernel.__name__} in {pieces}", run)

    # Small arrays stay in the cache of one processor.
    cuts = {1, 1 if threads == 1 else PIECES * threads}
    kernels = limits.copy, limits.copy_bytes
    variants = [variant(kernel, pieces) for kernel in kernels for pieces in sorted(cuts)]
    return Limit(variants, 2 * source.nbytes * rounds)
