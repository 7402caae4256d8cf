"""The statistic: is the median of paired ratios above a limit, with confidence?

A pair is the time of the new commit over that of the old one, measured back to back, in turns
the one and the other first. The machine's drift meets both, so that pairs are taken for
independent signs of one ratio, with heavy tails on both sides. The interval for their median takes
nothing else for granted: of n pairs, the number below the true median is binomial with p = 1/2,
so that the k-th smallest is below it with a probability that the binomial tail gives.
"""

from __future__ import annotations

import math
import statistics
from typing import NamedTuple

LIMIT = 1.10
LOOKS = (16, 32, 64, 128, 256, 512, 1024)  # numbers of pairs after which it may be decided
MISS = 1e-3  # probability, at each look, of an interval that misses the median on one side


class Interval(NamedTuple):
    """A median of ratios, and between what it lies."""

    low: float
    median: float
    high: float


def interval(ratios: list[float]) -> Interval:
    """Return the median and the interval, each end of which misses it with probability MISS."""
    ordered, n = sorted(ratios), len(ratios)
    rank, tail = 0, 0.5**n
    while tail <= MISS:  # P(fewer than rank + 1 below the median)
        rank += 1
        tail += math.comb(n, rank) * 0.5**n
    # No order statistic of so few pairs is sure enough.
    low = ordered[rank - 1] if rank else 0.0
    high = ordered[-rank] if rank else math.inf
    return Interval(low, statistics.median(ordered), high)


def verdict(ratios: list[float], limit: float = LIMIT) -> str | None:
    """Return "slower", "fine", "undecided", or None where it takes more pairs to tell.

    It is slower if the whole interval is above the limit, and fine if none of it is.
    """
    found = interval(ratios)
    if found.low > limit:
        return "slower"
    if found.high <= limit:
        return "fine"
    return "undecided" if len(ratios) >= LOOKS[-1] else None
