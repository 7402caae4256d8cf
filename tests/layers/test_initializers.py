"""Initial values: their spread by the rule, their seeds, their dtypes."""

import math

import numpy as np
import pytest

from fastnn import initializers
from fastnn.initializers import glorot_normal, glorot_uniform, he, normal, xavier, zeros

# Fan-in and fan-out of a matrix (D, H) and of filters (F, C, height, width).
FANS = {
    (150, 90): (150, 90),
    (90, 150): (90, 150),
    (40, 12, 5, 3): (12 * 15, 40 * 15),
    (40, 12, 9): (12 * 9, 40 * 9),
}
RULES = {
    he: lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    xavier: lambda fan_in, fan_out: math.sqrt(1 / fan_in),
    glorot_normal: lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    glorot_uniform: lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
}
every_rule = pytest.mark.parametrize("rule", list(RULES))
every_random = pytest.mark.parametrize("rule", [*RULES, normal])


def assert_spread(W, std, kurtosis):
    """Mean and deviation within 5 standard errors; that of the variance needs the kurtosis."""
    n = W.size
    W = W.astype(np.float64)
    assert abs(W.mean()) < 5 * std / math.sqrt(n)
    assert abs(W.var() / std**2 - 1) < 5 * math.sqrt((kurtosis - 1) / n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", list(FANS))
@every_rule
def test_spread_follows_the_rule(rule, shape, dtype):
    W = rule(shape, rng=0, dtype=dtype)
    assert W.shape == shape and W.dtype == dtype
    assert W.flags.c_contiguous and W.flags.writeable
    assert_spread(W, RULES[rule](*FANS[shape]), 1.8 if rule is glorot_uniform else 3)


@pytest.mark.parametrize("std", [0.01, 1, 2.5])
def test_normal_has_the_given_deviation(std):
    assert_spread(normal((100, 100), std, rng=0), std, 3)
    assert normal((3, 0, 2), std, rng=0).shape == (3, 0, 2)


def test_normal_has_one_hundredth_if_not_told():
    assert_spread(normal((100, 100), rng=0), 0.01, 3)


@pytest.mark.parametrize("rule", [he, xavier, glorot_normal, normal])
def test_normal_values_have_normal_tails(rule):
    W = rule((300, 300), rng=0, dtype=np.float64)
    for sigmas in (1, 2, 3):
        share = math.erfc(sigmas / math.sqrt(2))
        beyond = np.mean(np.abs(W) > sigmas * W.std())
        assert abs(beyond - share) < 5 * math.sqrt(share * (1 - share) / W.size)


def test_uniform_values_fill_their_range():
    limit = math.sqrt(6 / (200 + 100))
    W = glorot_uniform((200, 100), rng=0, dtype=np.float64)
    assert np.abs(W).max() <= limit
    # The chance that n values all stay below 1 - 20 / n of the limit is exp(-20).
    assert np.abs(W).max() > limit * (1 - 20 / W.size)


@every_random
def test_seed_decides_the_values(rule):
    shape = (20, 30)
    one, same, other = rule(shape, rng=1), rule(shape, rng=1), rule(shape, rng=2)
    np.testing.assert_array_equal(one, same, strict=True)
    assert not np.array_equal(one, other)
    assert not np.array_equal(rule(shape), rule(shape))


@every_random
def test_seed_gives_the_same_values_in_each_dtype(rule):
    wide, narrow = (rule((20, 30), rng=1, dtype=dtype) for dtype in (np.float64, np.float32))
    np.testing.assert_array_equal(wide.astype(np.float32), narrow, strict=True)
    assert not np.array_equal(wide, narrow)


@every_random
def test_generator_goes_on(rule):
    rng = np.random.default_rng(3)
    first, second = rule((5, 6), rng=rng), rule((5, 6), rng=rng)
    np.testing.assert_array_equal(first, rule((5, 6), rng=3))
    assert not np.array_equal(first, second)


@every_random
def test_default_dtype_is_float32(rule):
    assert rule((3, 4)).dtype == zeros((3, 4)).dtype == np.float32


@pytest.mark.parametrize("shape", [(), (5,), (0, 3), (3, 0), (3, -1), (2, 3, 0, 3)])
@every_rule
def test_shapes_without_fans(rule, shape):
    with pytest.raises(ValueError, match="^shape: expected") as error:
        rule(shape)
    assert str(shape) in str(error.value)


@pytest.mark.parametrize("std", [-0.1, math.nan, math.inf])
def test_deviation_out_of_range(std):
    with pytest.raises(ValueError, match="^std: expected a number of at least 0"):
        normal((2, 3), std)


def test_deviation_must_be_a_number():
    with pytest.raises(TypeError, match="^std: expected a number of at least 0"):
        normal((2, 3), "he")


def test_deviation_of_zero():
    np.testing.assert_array_equal(normal((2, 3), 0), np.zeros((2, 3)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (0, 3)])
def test_zeros(shape, dtype):
    np.testing.assert_array_equal(zeros(shape, dtype=dtype), np.zeros(shape, dtype), strict=True)


def test_every_public_function_is_in_a_table_above():
    assert set(initializers.__all__) == {f.__name__ for f in [*RULES, normal, zeros]}
