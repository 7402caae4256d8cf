"""exp, log, tanh and the maximum of a row as straight-line arithmetic, which vectorises.

Numba calls the scalar library functions, one element at a time. Here exp(x) = 2^n e^r with
n = round(x / ln 2), so |r| <= ln(2)/2, and e^r is its Taylor series, cut where the next term
is below half a unit in the last place. What makes this exact is the order of operations, which
the compile options keep. For log, x = 2^k m with m between sqrt(1/2) and sqrt(2), and
log m = 2 artanh(s) = 2 (s + s^3/3 + s^5/5 + ...), s = (m - 1) / (m + 1). The error is at most 2
units in the last place for exp and log, and 4 for tanh (tests/kernels/test_elementary.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from fastnn.kernels.codegen.compile import OPTIONS


class _Format(NamedTuple):
    """A floating-point format and the series that suits it."""

    real: Any
    integer: Any
    mantissa: int  # explicit bits
    bias: int
    ln2_high: float  # ln 2 cut short, so that n * ln2_high is exact
    ln2_low: float
    terms: int  # of the Taylor series of e^r - 1
    lowest: float  # exp is zero from here down
    highest: float  # and infinite from here up
    saturated: float  # tanh is 1 from here up
    log_terms: int  # of the series of artanh after the first


_FORMATS = {
    types.float32: _Format(
        np.float32, np.int32, 23, 127, 0.693359375, -2.12194440e-4, 7, -104.0, 89.0, 10.0, 4
    ),
    types.float64: _Format(
        np.float64, np.int64, 52, 1023, 6.93147180369123816490e-01, 1.90821492927058770002e-10,
        13, -746.0, 710.0, 20.0, 10,
    ),
}  # fmt: skip


def _make(f: _Format) -> tuple[Callable[[Any], Any], ...]:
    real, integer = f.real, f.integer
    inverse_ln2 = real(1 / math.log(2))
    ln2_high, ln2_low = real(f.ln2_high), real(f.ln2_low)
    # Adding this pushes the fraction out of the mantissa: the low bits are round(x), and
    # unlike a conversion to an integer it is defined for NaN.
    shifter = real(1.5 * 2.0**f.mantissa)
    shifter_bits = integer(shifter.view(integer))
    bias, mantissa = integer(f.bias), integer(f.mantissa)
    lowest, highest, saturated = real(f.lowest), real(f.highest), real(f.saturated)
    zero, one, two = real(0), real(1), real(2)
    series = tuple(real(1 / math.factorial(k)) for k in range(f.terms, 1, -1))

    @register_jitable(**OPTIONS)
    def power_of_two(n):
        return integer((n + bias) << mantissa).view(real)

    @register_jitable(**OPTIONS)
    def reduce(x):
        """Return n and e^r - 1, where x = n ln 2 + r."""
        shifted = x * inverse_ln2 + shifter
        whole = shifted - shifter
        n = integer(real(shifted).view(integer) - shifter_bits)
        r = (x - whole * ln2_high) - whole * ln2_low
        tail = series[0]
        for c in numba.literal_unroll(series[1:]):
            tail = tail * r + c
        return n, (tail * r) * r + r

    @numba.njit(**OPTIONS)
    def exp(x):
        x = lowest if x < lowest else x
        x = highest if x > highest else x
        n, e = reduce(x)
        half = integer(n >> 1)  # 2^n itself may be out of range where e^x is not
        return ((e + one) * power_of_two(half)) * power_of_two(integer(n - half))

    @numba.njit(**OPTIONS)
    def tanh(x):
        size = -x if x < zero else x
        size = saturated if size > saturated else size
        n, e = reduce(two * size)
        scale = power_of_two(n)
        e = e * scale + (scale - one)  # exp(2 |x|) - 1, without cancellation
        y = e / (e + two)
        return -y if x < zero else y

    tiny, infinity, nan = real(np.finfo(real).tiny), real(np.inf), real(np.nan)
    half_ = real(0.5)
    root = integer(real(math.sqrt(0.5)).view(integer))
    odd = tuple(real(2 / (2 * i + 1)) for i in range(f.log_terms, 0, -1))

    @numba.njit(**OPTIONS)
    def log(x):
        bits = real(x).view(integer)
        k = integer((bits - root) >> mantissa)
        m = integer(bits - (k << mantissa)).view(real)
        d = m - one
        s = d / (d + two)
        square = s * s
        tail = odd[0]
        for c in numba.literal_unroll(odd[1:]):
            tail = tail * square + c
        # log(1 + d) = d - d^2/2 + s (d^2/2 + s^2 tail), where the first difference is the most.
        bow = half_ * d * d
        n = real(k)
        rest = s * (bow + square * tail) + n * ln2_low
        y = n * ln2_high + (d - (bow - rest))
        y = x if x == infinity else y
        y = -infinity if x < tiny else y  # zero, and what counts as zero
        return y if x >= zero else nan

    top, others = integer(8 * np.dtype(integer).itemsize - 1), np.iinfo(integer).max

    @register_jitable(**OPTIONS)
    def flip(bits):
        """Turn the bits of a number into an integer of the same order, or back."""
        return integer(bits ^ integer((bits >> top) & others))

    @numba.njit(**OPTIONS)
    def maximum(row):
        largest = flip(real(row[0]).view(integer))
        for j in range(1, row.size):
            key = flip(real(row[j]).view(integer))
            largest = key if key > largest else largest
        return integer(flip(largest)).view(real)

    return exp, tanh, log, maximum


_IMPLEMENTATIONS = {dtype: _make(f) for dtype, f in _FORMATS.items()}


def exp(x: float) -> float:
    """Return e to the power x; for use inside kernels."""
    raise NotImplementedError


def tanh(x: float) -> float:
    """Return the hyperbolic tangent of x; for use inside kernels."""
    raise NotImplementedError


def log(x: float) -> float:
    """Return the natural logarithm of x; for use inside kernels."""
    raise NotImplementedError


def maximum(row: Any) -> float:
    """Return the largest element of a row, which is contiguous and not empty.

    Compared as integers: a loop over comparisons of floats, which has to skip NaN one by one,
    does not vectorise. NaN counts as above or below all numbers, by its sign.
    """
    raise NotImplementedError


@overload(exp, inline="always")
def _exp(x):
    compiled = _IMPLEMENTATIONS[x][0]
    return lambda x: compiled(x)


@overload(tanh, inline="always")
def _tanh(x):
    compiled = _IMPLEMENTATIONS[x][1]
    return lambda x: compiled(x)


@overload(log, inline="always")
def _log(x):
    compiled = _IMPLEMENTATIONS[x][2]
    return lambda x: compiled(x)


@overload(maximum)
def _maximum(row):
    compiled = _IMPLEMENTATIONS[row.dtype][3]
    return lambda row: compiled(row)
