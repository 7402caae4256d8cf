"""The attack on constructors, schedules, ensembles, IDX files; and faults that it has to find."""

import numpy as np
import pytest

from fastnn import datasets, ensembles, schedules
from tests.attack import surface, workers

SLICE = 300


def found(amount=SLICE):
    tally = workers.here(surface.case, amount, 0, surface.COMMAND)
    print(dict(tally.figures))
    return tally.failures()


def test_each_argument_of_what_is_public_has_a_generator():
    for function in surface.NAMES:
        for name in surface.parameters(function):
            surface.of(function, name)


def test_a_slice():
    assert found() == ()


def planted(monkeypatch, name, value):
    """Put something else in the place of a public name, for the attack alone."""
    monkeypatch.setitem(surface.PUBLIC, name, value)
    monkeypatch.setattr(surface, "NAMES", [name])
    monkeypatch.setattr(surface, "KINDS", [surface.bad_argument])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, "is accepted"),
        (AttributeError("k"), "AttributeError"),
        (ValueError("does not fit"), "which does not name it"),
    ],
)
def test_an_answer_to_a_bad_argument_that_is_none_is_found(error, said, monkeypatch):
    def exponential(k):
        if error:
            raise error

    planted(monkeypatch, "schedules.exponential", exponential)
    assert said in " ".join(found(10))


def test_a_schedule_that_writes_to_steps_is_found(monkeypatch):
    def writes(k):
        def schedule(steps):
            steps += 1
            return np.ones(len(steps))

        return schedule

    monkeypatch.setattr(surface, "KINDS", [surface.schedule])
    for name in schedules.__all__:
        if name != "in_steps":
            monkeypatch.setattr(schedules, name, lambda *given, **named: writes(0.1))
    assert "writes to the steps" in " ".join(found(10))


def test_a_file_that_loads_as_something_else_is_found(monkeypatch):
    read = datasets.read_idx

    def careless(path):
        try:
            return read(path)
        except ValueError:
            return np.zeros((1,), np.uint8)

    monkeypatch.setattr(datasets, "read_idx", careless)
    monkeypatch.setattr(surface, "KINDS", [surface.idx_file])
    assert "gives what is not there" in " ".join(found(60))


def test_an_ensemble_that_writes_to_samples_is_found(monkeypatch):
    predict = ensembles.Ensemble.predict

    def writes(self, x):
        scores = predict(self, x)
        x += 1
        return scores

    monkeypatch.setattr(ensembles.Ensemble, "predict", writes)
    monkeypatch.setattr(surface, "KINDS", [surface.ensemble])
    assert found(3)
