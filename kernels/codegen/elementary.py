"""exp, log, tanh, erfc and the maximum of a row as straight-line arithmetic, which vectorises.

Numba calls the scalar library functions, one element at a time. Here exp(x) = 2^n e^r with
n = round(x / ln 2), so |r| <= ln(2)/2, and e^r is its Taylor series, cut where the next term
is below half a unit in the last place. What makes this exact is the order of operations, which
the compile options keep. For log, x = 2^k m with m between sqrt(1/2) and sqrt(2), and
log m = 2 artanh(s) = 2 (s + s^3/3 + s^5/5 + ...), s = (m - 1) / (m + 1). The error is at most 2
units in the last place for exp and log, and 4 for all others (tests/kernels/test_elementary.py).

From x = 1/2 up, (1 + 2x) e^(x^2) erfc(x) is a polynomial in (x - k) / (x + k), after Shepherd and
Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < infinity",
Mathematics of Computation 36 (1981); below, erf(x) / x is one in x^2.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from fastnn.kernels.codegen.compile import ALONE

# A call keeps the loop around it scalar, and LLVM inlines nothing so long as erfc by itself.
_FORCED: dict[str, Any] = {**ALONE, "forceinline": True}


class _Erfc(NamedTuple):
    """The polynomials of erfc, and where they hold."""

    vanished: float  # zero from here up
    centre: float  # k
    far: tuple[float, ...]  # highest power first
    near: tuple[float, ...]


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
    erfc: _Erfc


# Made by mpmath.chebyfit, between 1/2 and `vanished`; off by less than 1/20 of a unit.
_FORMATS = {
    types.float32: _Format(
        np.float32, np.int32, 23, 127, 0.693359375, -2.12194440e-4, 7, -104.0, 89.0, 10.0, 4,
        _Erfc(
            10.2, 2.5,
            (
                0.0005504109, 0.0004150369, -0.004362685, 0.000955981, 0.0327598, -0.10297016,
                0.15762982, -0.0990244, -0.12235676, 1.2648382,
            ),
            (0.0047190827, -0.026757732, 0.112828314, -0.37612608, 1.1283791),
        ),
    ),
    types.float64: _Format(
        np.float64, np.int64, 52, 1023, 6.93147180369123816490e-01, 1.90821492927058770002e-10,
        13, -746.0, 710.0, 20.0, 10,
        _Erfc(
            28.0, 3.75,
            (
                -2.819125663086401e-09, 2.4650884795239513e-08, 2.2156361551057863e-08,
                -2.405381553661818e-07, -5.658053403353585e-08, 1.7380461262457937e-06,
                -9.7368428239226e-07, -1.1437767278950732e-05, 2.2384180644872092e-05,
                5.164717365417525e-05, -0.0002901540353336165, 0.0002937140375272005,
                0.0017556258398018613, -0.009746579602513314, 0.028362277420937457,
                -0.05869339858656682, 0.09230432116022246, -0.1088039301418558,
                0.08227673849015059, 0.0035854154854658496, -0.14024059858554702,
                1.2375126308378275,
            ),
            (
                1.4725865480556744e-06, -1.4845849259707869e-05, 0.00012053335124353741,
                -0.0008548297753674966, 0.00522397737302147, -0.026866170632887928,
                0.11283791670925353, -0.37612638903183476, 1.1283791670955126,
            ),
        ),
    ),
}  # fmt: skip


def _polynomial(real: Any, coefficients: tuple[float, ...]) -> Any:
    """Return a function of x, written out: LLVM unrolls no loop over so many terms as some have."""
    terms = {f"c{i}": real(c) for i, c in enumerate(coefficients)}
    rule = functools.reduce(lambda inner, term: f"({inner}) * x + {term}", terms)
    exec(f"def polynomial(x): return {rule}", terms)
    return register_jitable(**_FORCED)(terms["polynomial"])


def _exponentials(f: _Format) -> dict[str, Callable[[Any], Any]]:
    """Return exp and what is made of it."""
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

    @register_jitable(**ALONE)
    def power_of_two(n):
        return integer((n + bias) << mantissa).view(real)

    @register_jitable(**ALONE)
    def nearest(x):
        """Return n, as a number and as an integer, for which x - n ln 2 is smallest."""
        shifted = x * inverse_ln2 + shifter
        return shifted - shifter, integer(real(shifted).view(integer) - shifter_bits)

    @register_jitable(**ALONE)
    def less_one(r):
        """Return e^r - 1, for |r| <= ln(2)/2."""
        tail = series[0]
        for c in numba.literal_unroll(series[1:]):
            tail = tail * r + c
        return (tail * r) * r + r

    @register_jitable(**ALONE)
    def reduce(x):
        """Return n and e^r - 1, where x = n ln 2 + r."""
        whole, n = nearest(x)
        return n, less_one((x - whole * ln2_high) - whole * ln2_low)

    @register_jitable(**ALONE)
    def scaled(y, n):
        """Return y 2^n; 2^n itself may be out of range where that is not."""
        half = integer(n >> 1)
        return (y * power_of_two(half)) * power_of_two(integer(n - half))

    @register_jitable(**ALONE)
    def clamped(x):
        x = lowest if x < lowest else x
        return highest if x > highest else x

    @numba.njit(**ALONE)
    def exp(x):
        n, e = reduce(clamped(x))
        return scaled(e + one, n)

    @numba.njit(**ALONE)
    def expm1(x):
        n, e = reduce(clamped(x))
        half = integer(n >> 1)
        other = integer(n - half)
        # Both powers of two are exact, and so is their difference where it cancels.
        y = e * power_of_two(half) + (power_of_two(half) - power_of_two(integer(-other)))
        return y * power_of_two(other)

    @numba.njit(**ALONE)
    def tanh(x):
        size = -x if x < zero else x
        size = saturated if size > saturated else size
        n, e = reduce(two * size)
        scale = power_of_two(n)
        e = e * scale + (scale - one)  # exp(2 |x|) - 1, without cancellation
        y = e / (e + two)
        return -y if x < zero else y

    vanished, centre, a_half = real(f.erfc.vanished), real(f.erfc.centre), real(0.5)
    near, far = _polynomial(real, f.erfc.near), _polynomial(real, f.erfc.far)
    # Clears the lower half of a mantissa: the square of what is left is exact.
    upper = integer(-1 << f.mantissa // 2 + 1)

    @register_jitable(**_FORCED)
    def erf_near(x):
        return x * near(x * x)

    @register_jitable(**_FORCED)
    def erfc_far(x):
        x = vanished if x > vanished else x
        high = integer(real(x).view(integer) & upper).view(real)
        # -x^2 = square + rest; an error of the exponent is one of the result, x^2 times as large.
        square, rest = -(high * high), (high - x) * (high + x)
        whole, n = nearest(-x * x)
        e = less_one(((square - whole * ln2_high) - whole * ln2_low) + rest)
        y = far((x - centre) / (x + centre)) / (one + two * x)
        return scaled((e + one) * y, n)

    @numba.njit(**_FORCED)
    def erfc(x):
        size = -x if x < zero else x
        close, y = one - erf_near(x), erfc_far(size)
        y = two - y if x < zero else y
        return close if size < a_half else y

    return {"exp": exp, "expm1": expm1, "tanh": tanh, "erfc": erfc}


def _logarithms(f: _Format) -> dict[str, Callable[[Any], Any]]:
    """Return log and log1p."""
    real, integer = f.real, f.integer
    mantissa = integer(f.mantissa)
    ln2_high, ln2_low = real(f.ln2_high), real(f.ln2_low)
    zero, one, two = real(0), real(1), real(2)
    tiny, infinity, nan = real(np.finfo(real).tiny), real(np.inf), real(np.nan)
    half_ = real(0.5)
    root = integer(real(math.sqrt(0.5)).view(integer))
    odd = tuple(real(2 / (2 * i + 1)) for i in range(f.log_terms, 0, -1))

    @numba.njit(**ALONE)
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

    @numba.njit(**ALONE)
    def log1p(x):
        w = one + x
        # The rounding of w, which is all that is left of a small x.
        rest = (x - (w - one)) / w
        y = log(w)
        return y + rest if abs(y) < infinity else y

    return {"log": log, "log1p": log1p}


def _maxima(f: _Format) -> dict[str, Callable[[Any], Any]]:
    """Return the maximum of a row."""
    real, integer = f.real, f.integer
    top, others = integer(8 * np.dtype(integer).itemsize - 1), np.iinfo(integer).max

    @register_jitable(**ALONE)
    def flip(bits):
        """Turn the bits of a number into an integer of the same order, or back."""
        return integer(bits ^ integer((bits >> top) & others))

    @numba.njit(**ALONE)
    def maximum(row):
        largest = flip(real(row[0]).view(integer))
        for j in range(1, row.size):
            key = flip(real(row[j]).view(integer))
            largest = key if key > largest else largest
        return integer(flip(largest)).view(real)

    return {"maximum": maximum}


_IMPLEMENTATIONS = {
    dtype: {**_exponentials(f), **_logarithms(f), **_maxima(f)} for dtype, f in _FORMATS.items()
}


def exp(x: float) -> float:
    """Return e to the power x; for use inside kernels."""
    raise NotImplementedError


def expm1(x: float) -> float:
    """Return e to the power x, less 1, to the last places also near zero."""
    raise NotImplementedError


def tanh(x: float) -> float:
    """Return the hyperbolic tangent of x; for use inside kernels."""
    raise NotImplementedError


def erfc(x: float) -> float:
    """Return 1 - erf(x), the complementary error function, to the last places of its tail."""
    raise NotImplementedError


def log(x: float) -> float:
    """Return the natural logarithm of x; for use inside kernels."""
    raise NotImplementedError


def log1p(x: float) -> float:
    """Return the natural logarithm of 1 + x, to the last places also near zero."""
    raise NotImplementedError


def maximum(row: Any) -> float:
    """Return the largest element of a row, which is contiguous and not empty.

    Compared as integers: a loop over comparisons of floats, which has to skip NaN one by one,
    does not vectorise. NaN counts as above or below all numbers, by its sign.
    """
    raise NotImplementedError


def _by_type(function: Callable[[float], float]) -> None:
    @overload(function, inline="always")
    def choose(x):
        compiled = _IMPLEMENTATIONS[x][function.__name__]
        return lambda x: compiled(x)


for _function in (exp, expm1, tanh, erfc, log, log1p):
    _by_type(_function)


@overload(maximum)
def _maximum(row):
    compiled = _IMPLEMENTATIONS[row.dtype]["maximum"]
    return lambda row: compiled(row)
