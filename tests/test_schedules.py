"""Schedules: their formulas, their ends, what they refuse."""

import pickle

import numpy as np
import pytest

from fastnn import schedules

STEPS = np.arange(101)


def test_formulas():
    t = STEPS
    for schedule, expected in [
        (schedules.step_decay(30, 0.1), 0.1 ** np.floor(t / 30)),
        (schedules.exponential(0.02), np.exp(-0.02 * t)),
        (schedules.inverse_time(0.02), 1 / (1 + 0.02 * t)),
        (schedules.cosine(100), 0.5 * (1 + np.cos(t / 100 * np.pi))),
        (schedules.cosine(100, final=0.2), 0.2 + 0.8 * 0.5 * (1 + np.cos(t / 100 * np.pi))),
        (schedules.warmup(10), np.minimum((t + 1) / 10, 1)),
    ]:
        factors = schedule(t)
        assert factors.dtype == np.float64 and factors.shape == t.shape
        np.testing.assert_allclose(factors, expected, rtol=0, atol=4 * np.finfo(float).eps)
        assert (factors >= 0).all()
        np.testing.assert_array_equal(schedule(t[40:50]), factors[40:50])
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(schedule))(t), factors)


def test_cosine_stays_at_its_end():
    factors = schedules.cosine(50, final=0.1)(STEPS)
    np.testing.assert_array_equal(factors[50:], 0.1)
    assert (np.diff(factors[:51]) < 0).all() and factors[0] == 1


def test_warmup_counts_what_follows_from_its_end():
    after = schedules.cosine(60)
    factors = schedules.warmup(20, then=after)(STEPS)
    np.testing.assert_allclose(factors[:20], np.arange(1, 21) / 20, rtol=1e-15)
    np.testing.assert_array_equal(factors[20:], after(STEPS[:81]))
    np.testing.assert_array_equal(schedules.warmup(0, then=after)(STEPS), after(STEPS))


def test_a_function_of_the_users_own_may_follow():
    factors = schedules.warmup(2, then=lambda steps: np.full(steps.shape, 0.25))(STEPS)
    assert factors[:4].tolist() == [0.5, 1.0, 0.25, 0.25]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: schedules.step_decay(0), ValueError, "every: expected a whole number from 1"),
        (lambda: schedules.step_decay(1.5), TypeError, "every: expected a whole number, got 1.5"),
        (
            lambda: schedules.step_decay(1, 1.5),
            ValueError,
            r"factor: expected a number in \[0, 1\]",
        ),
        (lambda: schedules.exponential(-1), ValueError, "k: expected a number from 0 up, got -1"),
        (lambda: schedules.inverse_time("1"), TypeError, "k: expected a number from 0 up"),
        (lambda: schedules.cosine(0), ValueError, "steps: expected a whole number from 1"),
        (
            lambda: schedules.cosine(5, 2),
            ValueError,
            r"final: expected a number in \[0, 1\], got 2",
        ),
        (lambda: schedules.warmup(-1), ValueError, "steps: expected a whole number from 0"),
        (lambda: schedules.warmup(1, then=0.5), TypeError, "then: expected a function of step"),
    ],
)
def test_settings_out_of_range(make, error, text):
    with pytest.raises(error, match=f"^{text}"):
        make()
