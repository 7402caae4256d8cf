"""Powers without the C library: as exact as they say, with the same bits in Python and compiled."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numba
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastnn.kernels.codegen.compile import OPTIONS
from fastnn.kernels.plain import powers

HALF_UNIT = Fraction(1, 2**53)  # in the last place of a number, as a share of it at most

BETA, DECAY = 0.9, 0.004  # the defaults

shares = st.floats(0, 1, exclude_max=True, allow_subnormal=False)


@numba.njit(**OPTIONS)
def integer_power(base, exponent):
    return powers.integer_power(base, exponent)


@numba.njit(**OPTIONS)
def momentum(beta1, step, decay):
    return powers.nadam_momentum(beta1, step, decay)


@numba.njit(**OPTIONS)
def falling_exponential(x):
    return powers.falling_exponential(x)


@given(base=st.floats(0.5, 1), exponent=st.integers(0, 1000))
@example(base=0.9, exponent=1)
@example(base=0.999, exponent=700)
def test_an_integer_power_is_as_exact_as_its_base(base, exponent):
    exact = Fraction(base) ** exponent
    error = abs(Fraction(powers.integer_power(base, exponent)) - exact)
    # The share to first order, and a thousandth for the rest: products of the shares.
    assert error <= exact * exponent * HALF_UNIT * Fraction(1001, 1000)


@settings(deadline=None)  # it compiles
@given(base=shares, exponent=st.integers(0, 2**40))
@example(base=0.999, exponent=2**16 + 1)  # beyond, Numba would ask the C library
def test_integer_powers_are_those_of_python(base, exponent):
    assert integer_power(base, exponent) == powers.integer_power(base, exponent)


def test_a_negative_power_ends():
    assert powers.integer_power(0.5, -1) == 1.0


@given(x=st.floats(-708, 0))
@example(x=-0.0)
@example(x=-math.log(2) / 2)
@example(x=-708.0)
def test_the_exponential_is_off_by_two_units_at_most(x):
    with localcontext(prec=40):
        exact = Fraction(Decimal(x).exp())
    error = abs(Fraction(powers.falling_exponential(x)) - exact)
    assert error <= 2 * Fraction(math.ulp(float(exact)))


@settings(deadline=None)
@given(x=st.floats(-800, 0, allow_subnormal=False))
@example(x=-math.inf)
def test_exponentials_are_those_of_python(x):
    assert falling_exponential(x) == powers.falling_exponential(x)


def test_below_all_normal_numbers_it_is_zero():
    assert powers.falling_exponential(-708.5) == powers.falling_exponential(-math.inf) == 0.0


@settings(deadline=None)
@given(beta1=shares, step=st.integers(1, 2**40), decay=st.floats(0, 10, allow_subnormal=False))
@example(beta1=0.9, step=1, decay=0.004)
def test_momenta_of_nadam_are_those_of_python(beta1, step, decay):
    assert momentum(beta1, step, decay) == powers.nadam_momentum(beta1, step, decay)


@pytest.mark.parametrize("step", [1, 10, 1000, 10**6])
def test_momenta_of_nadam_are_those_of_its_formula(step):
    with localcontext(prec=40):
        power = Decimal("0.96") ** (step * Decimal(DECAY))
        exact = Decimal(BETA) * (1 - power / 2)
    # The exponent, with two roundings and that of ln 0.96, is off by a share of 1.5 units, and
    # x e^x is below 1/2; then 2 units of e^x / 2, and three roundings to half a unit.
    assert abs(Decimal(powers.nadam_momentum(BETA, step, DECAY)) - exact) <= 4 * Decimal(2.0**-53)
