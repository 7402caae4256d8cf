"""Powers that are the same on all systems, where those of C libraries differ in their last bits.

Of products and sums of float64 alone, in an order that is written, and each of them rounded: so
Python has the same bits as machine code that is compiled so.
"""

from __future__ import annotations

import math

from fastnn.kernels.plain.shared import shared

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_INVERSE_LN2 = 1.4426950408889634
_LOWEST = -708.0  # below, results are denormal, which kernels flush
_SERIES = tuple(1 / math.factorial(k) for k in range(13, 0, -1))

_LN_096 = -0.040821994520255166


@shared
def integer_power(base: float, exponent: int) -> float:
    """Return a number from 0 to 1 to the power of an integer, at least 0, by repeated squaring.

    Each product is off by half a unit in the last place, 2^-53, at most, and squares double what
    they were off by: so the result is off by a share of less than `exponent` 2^-53 to first order,
    which is as much as if the base were off by half a unit.
    """
    power = 1.0
    while exponent > 0:
        if exponent & 1:
            power *= base
        exponent >>= 1
        base *= base
    return power


@shared
def falling_exponential(x: float) -> float:
    """Return e to the power x, for x from minus infinity to 0.

    x = r - n ln 2, with r in [-ln(2)/2, ln(2)/2], and e^r is its Taylor series, which is off by
    less than 2 units in the last place. Below -708 it is 0.
    """
    if x < _LOWEST:
        return 0.0
    halvings = int(0.5 - x * _INVERSE_LN2)
    r = (x + halvings * _LN2_HIGH) + halvings * _LN2_LOW
    tail = 0.0
    for term in _SERIES:
        tail = (tail + term) * r
    power = 1.0 + tail
    for _ in range(halvings):
        power *= 0.5
    return power


@shared
def nadam_momentum(beta1: float, step: int, decay: float) -> float:
    """Return NAdam's momentum of a step, beta1 (1 - 0.96^(step decay) / 2)."""
    return beta1 * (1.0 - 0.5 * falling_exponential(step * decay * _LN_096))
