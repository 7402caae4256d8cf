"""Schedules: their formulas, their ends, what they refuse."""

import pickle

import numpy as np
import pytest

from fastnn import MultiLayerNet, schedules
from fastnn.callbacks import Callback
from fastnn.training.schedules import build, describe

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
    ("epochs", "steps"),
    [
        (schedules.cosine(epochs=4, final=0.1), schedules.cosine(28, final=0.1)),
        (schedules.step_decay(epochs=2, factor=0.1), schedules.step_decay(14, 0.1)),
        (schedules.step_decay(epochs=0.01), schedules.step_decay(1)),
        (schedules.warmup(epochs=0.5), schedules.warmup(4)),
        (schedules.warmup(epochs=0), schedules.warmup(0)),
        (
            schedules.warmup(epochs=1, then=schedules.cosine(epochs=3)),
            schedules.warmup(7, then=schedules.cosine(21)),
        ),
        (
            schedules.warmup(3, then=schedules.warmup(epochs=1, then=schedules.exponential(0.1))),
            schedules.warmup(3, then=schedules.warmup(7, then=schedules.exponential(0.1))),
        ),
    ],
)
def test_lengths_in_epochs(epochs, steps):
    expected = steps(STEPS)
    np.testing.assert_array_equal(schedules.in_steps(epochs, 7)(STEPS), expected)
    np.testing.assert_array_equal(schedules.in_steps(steps, 7)(STEPS), expected)
    again = pickle.loads(pickle.dumps(epochs))
    np.testing.assert_array_equal(schedules.in_steps(again, 7)(STEPS), expected)


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ({"name": "cosine", "settings": {"steps": 9, "final": 0.1}}, schedules.cosine(9, 0.1)),
        (
            {"name": "step_decay", "settings": {"every": 5, "factor": 0.5}},
            schedules.step_decay(5),
        ),
        (
            {
                "name": "warmup",
                "settings": {"steps": 3, "then": {"name": "exponential", "settings": {"k": 0.1}}},
            },
            schedules.warmup(3, then=schedules.exponential(0.1)),
        ),
    ],
)
def test_files_of_before_epochs_are_read(described, expected):
    np.testing.assert_array_equal(build(described)(STEPS), expected(STEPS))
    assert describe(expected) == described


def test_a_schedule_in_epochs_knows_no_steps_by_itself():
    for schedule in (
        schedules.cosine(epochs=2),
        schedules.step_decay(epochs=2),
        schedules.warmup(epochs=2),
        schedules.warmup(2, then=schedules.cosine(epochs=2)),
    ):
        with pytest.raises(ValueError, match="fastnn.schedules.in_steps"):
            schedule(STEPS)

    def own(steps):
        return steps

    assert schedules.in_steps(own, 3) is own


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: schedules.step_decay(0), ValueError, "every: expected an integer from 1"),
        (lambda: schedules.step_decay(1.5), TypeError, "every: expected an integer, got 1.5"),
        (
            lambda: schedules.step_decay(1, 1.5),
            ValueError,
            r"factor: expected a number in \[0, 1\]",
        ),
        (
            lambda: schedules.exponential(-1),
            ValueError,
            "k: expected a number of at least 0, got -1",
        ),
        (lambda: schedules.inverse_time("1"), TypeError, "k: expected a number of at least 0"),
        (lambda: schedules.cosine(0), ValueError, "steps: expected an integer from 1"),
        (
            lambda: schedules.cosine(5, 2),
            ValueError,
            r"final: expected a number in \[0, 1\], got 2",
        ),
        (lambda: schedules.cosine(), TypeError, "steps, epochs: expected one of the two, got nei"),
        (lambda: schedules.cosine(5, epochs=2), TypeError, "steps, epochs: .* got both"),
        (lambda: schedules.step_decay(), TypeError, "every, epochs: expected one of the two, got"),
        (lambda: schedules.warmup(), TypeError, "steps, epochs: expected one of the two, got nei"),
        (lambda: schedules.cosine(epochs=0), ValueError, "epochs: expected a number above 0, got"),
        (
            lambda: schedules.warmup(epochs=-1),
            ValueError,
            "epochs: expected a number of at least 0",
        ),
        (
            lambda: schedules.in_steps(schedules.cosine(3), 0),
            ValueError,
            "steps_per_epoch: expected an integer from 1",
        ),
        (lambda: schedules.warmup(-1), ValueError, "steps: expected an integer from 0"),
        (lambda: schedules.warmup(1, then=0.5), TypeError, "then: expected a function of step"),
    ],
)
def test_settings_out_of_range(make, error, text):
    with pytest.raises(error, match=f"^{text}"):
        make()


@pytest.mark.parametrize(
    ("schedule", "step"),
    [
        (schedules.cosine(4), 4),  # steps, where epochs are meant
        (schedules.cosine(epochs=2), 8),
        (schedules.exponential(20.0), 1),
    ],
)
@pytest.mark.parametrize("callbacks", [[], [Callback()]])
def test_rates_that_learn_nothing_are_told_once(schedule, step, callbacks):
    x, t = np.random.default_rng(0).random((8, 4)), np.arange(8) % 3
    message = f"^schedule: expected factors .* from about step {step} of 20 on; .* as epochs="
    with pytest.warns(RuntimeWarning, match=message) as caught:
        MultiLayerNet(4, [5], 3).fit(
            x, t, 5, 2, schedule=schedule, verbose=False, callbacks=callbacks
        )
    assert len(caught) == 1 and caught[0].filename == __file__


@pytest.mark.parametrize(
    "schedule", [schedules.cosine(epochs=5), schedules.cosine(epochs=3), np.zeros_like]
)
def test_rates_that_end_late_or_are_the_users_own_are_not_told_of(schedule):
    x, t = np.random.default_rng(0).random((8, 4)), np.arange(8) % 3
    for batch_size in (2, 8):
        MultiLayerNet(4, [5], 3).fit(x, t, 5, batch_size, schedule=schedule, verbose=False)
