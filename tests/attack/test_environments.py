"""Environments: a slice, and how results are judged."""

import pytest

from tests.attack.environments import ENVIRONMENTS, Environment, Result, problem, trained

SLICE = ("closed: (0, 1, 2)", "verbose, streams None", "fork")


def test_names_differ():
    assert len({environment.name for environment in ENVIRONMENTS}) == len(ENVIRONMENTS)


@pytest.mark.slow
def test_a_slice():
    usual = trained(ENVIRONMENTS[0])
    assert usual.bits
    found = [each for each in ENVIRONMENTS if each.name in SLICE or each.way in SLICE]
    assert len(found) == len(SLICE)
    for environment in found:
        assert problem(environment, trained(environment), usual) == "", environment.name


@pytest.mark.parametrize(
    ("environment", "result", "expected"),
    [
        (Environment("x"), Result("a", 1.0), ""),
        (Environment("x"), Result("b", 1.0), "bits b in place of a"),
        (Environment("x", same=False), Result("b", 1.0001), ""),
        (Environment("x", same=False), Result("b", 1.1), "loss 1.1 in place of 1.0"),
        (Environment("x"), Result(error="ValueError: no", code=1), "ended with 1: ValueError: no"),
        (Environment("x", refused="no"), Result(error="ValueError: no", code=1), ""),
        (Environment("x", refused="no"), Result(error="no", code=-11), "ended with -11: no"),
        (Environment("x", refused="no", only=True), Result("a", 1.0), "was not refused"),
    ],
)
def test_results_are_judged(environment, result, expected):
    found = problem(environment, result, Result("a", 1.0))
    assert found.startswith(expected) and bool(found) == bool(expected)


@pytest.mark.slow
def test_a_training_that_fails_is_seen():
    result = trained(Environment("x", {"FASTNN_VECTOR_BITS": "7"}))
    assert result.refused and "FASTNN_VECTOR_BITS" in result.error
