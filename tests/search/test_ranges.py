"""Ranges that values are drawn from, and how a good end of one is found."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from searching import run

from fastnn import optimizers
from fastnn.search import Choice, Int, Log, Uniform

# Most trainings here have their best value wherever it falls.
pytestmark = pytest.mark.filterwarnings("ignore::fastnn.search.BorderWarning")


# Ranges


def test_logarithmic_ranges_are_drawn_alike_in_all_powers_of_ten():
    n = 300
    result = run(lambda trial: 0.0, {"lr": Log(1e-6, 1e-2), "d": Uniform(-1, 3)}, n, pruner=None)
    for values, low, high in (
        (np.log10([trial["lr"] for trial in result]), -6, -2),
        ([trial["d"] for trial in result], -1, 3),
    ):
        shares = np.sort((np.array(values) - low) / (high - low))
        distance = np.abs(shares - (np.arange(n) + 0.5) / n).max()
        assert distance < 1.63 / math.sqrt(n)  # Kolmogorov and Smirnov at 1 %
    correlation = np.corrcoef(
        [math.log(trial["lr"]) for trial in result], [trial["d"] for trial in result]
    )[0, 1]
    assert abs(correlation) < 2.6 / math.sqrt(n)  # 1 % too


def test_integers_and_choices_are_drawn_from_all_there_are():
    ranges = {"n": Int(1, 4), "units": Int(10, 1000, log=True), "o": Choice("SGD", None, 3, True)}
    result = run(lambda trial: 0.0, ranges, 100)
    assert {trial["n"] for trial in result} == {1, 2, 3, 4}
    assert {trial["o"] for trial in result} == {"SGD", None, 3, True}
    units = [trial["units"] for trial in result]
    assert all(isinstance(n, int) for n in units) and 70 < np.median(units) < 140


@pytest.mark.parametrize(
    ("range_", "value", "end"),
    [
        (Log(1e-6, 1e-2), 0.0064, "upper"),  # 5 % of four powers of ten: from 0.00631
        (Log(1e-6, 1e-2), 0.0062, None),
        (Log(1e-6, 1e-2), 1.5e-6, "lower"),
        (Log(1e-6, 1e-2), 1.7e-6, None),
        (Uniform(0, 1), 0.951, "upper"),
        (Uniform(0, 1), 0.949, None),
        (Uniform(0, 1), 0.05, "lower"),
        (Int(1, 5), 5, "upper"),
        (Int(1, 5), 4, None),
        (Int(1, 5), 1, "lower"),
        (Int(16, 1024, log=True), 900, "upper"),
        (Int(16, 1024, log=True), 800, None),
        (Int(3, 3), 3, None),
        (Choice(1, 2, 3), 3, None),
    ],
)
def test_border(range_, value, end):
    assert range_.border(value) == end


def test_narrowed():
    lr = Log(1e-6, 1e-2)
    # A tenth of four powers of ten on each side, with three digits, outward.
    assert lr.narrowed([1e-4, 1e-3, 1e-5]) == Log(3.98e-6, 2.52e-3)
    assert lr.narrowed([1e-4, 1e-6]) == Log(1e-6, 2.52e-4)  # the best is not at that border
    # The best at a border: it comes into the middle, 1.4 powers of ten from both ends.
    assert lr.narrowed([1e-2, 1e-3]) == Log(3.98e-4, 0.252)
    assert lr.narrowed([1e-6, 1e-5]) == Log(3.98e-8, 2.52e-5)
    # Beyond the end where that is not the first range's end, but not beyond that one.
    assert Uniform(0, 0.7).narrowed([0.7, 0.6]) == Uniform(0.53, 0.7)
    assert Uniform(0, 0.5).narrowed([0.5, 0.4], within=Uniform(0, 0.55)) == Uniform(0.35, 0.55)
    assert Uniform(0, 0.5).narrowed([0.5, 0.4], within=Uniform(0, 0.9)) == Uniform(0.35, 0.65)
    assert Log(1e-3, 1).narrowed([0.1], within=Log(1e-3, 1e-2)) == Log(0.0501, 0.2)
    assert Int(1, 9).narrowed([5, 6], 0) == Int(5, 6)
    assert Int(1, 9).narrowed([9, 7], 0.1) == Int(6, 9)
    assert Int(10, 1000, log=True).narrowed([100], 0.5) == Int(10, 1000, log=True)
    assert Choice("a", "b", "c").narrowed(["c", "a", "c"]) == Choice("a", "c")


@given(
    st.lists(st.floats(0, 1), min_size=1),
    st.floats(1e-9, 1e6),
    st.floats(1.001, 1e9),
    st.floats(0.02, 1),
    st.sampled_from([Log, Uniform, Int]),
)
def test_narrowed_keeps_the_good_values(shares, low, factor, margin, kind):
    range_ = kind(*map(math.ceil, (low, low * factor))) if kind is Int else kind(low, low * factor)
    assume(range_.low < range_.high)
    values = [min(max(range_._at(share), range_.low), range_.high) for share in shares]
    if kind is Int:
        values = [round(value) for value in values]
    narrowed = range_.narrowed(values, margin)
    assert all(narrowed.low <= value <= narrowed.high for value in values)
    if range_.border(values[0]) is None:
        assert range_.low <= narrowed.low and narrowed.high <= range_.high
    elif kind is Log:
        assert narrowed.border(values[0]) is None
    # Twice the span at most; rounding moves an end by up to 0.01 sqrt(10) of it.
    assert range_._position(narrowed.low) > -1.04 and range_._position(narrowed.high) < 2.04


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Log(0, 1), ValueError, "low: expected a number above 0, got 0"),
        (lambda: Log(1e-2, 1e-6), ValueError, "high: expected a number above low, 0.01, got 1e-06"),
        (lambda: Log("a", 1), TypeError, "low: expected a number above 0, got 'a'"),
        (lambda: Uniform(0, math.inf), ValueError, "high: expected a finite number, got inf"),
        (lambda: Uniform(math.nan, 1), ValueError, "low: expected a finite number, got nan"),
        (lambda: Uniform(1, 1), ValueError, "high: expected a number above low"),
        (lambda: Int(1.5, 3), TypeError, "low: expected an integer, got 1.5"),
        (lambda: Int(4, 3), ValueError, "high: expected an integer from 4"),
        (lambda: Int(0, 3, log=True), ValueError, "low: expected an integer from 1"),
        (lambda: Choice(), ValueError, "options: expected at least one"),
        (lambda: Choice("a", "a"), ValueError, "options: expected no two alike"),
        (lambda: Choice(1.0, math.nan), ValueError, "options: expected no NaN"),
        (lambda: Choice(optimizers.SGD), TypeError, "options: expected strings, numbers"),
        (lambda: Choice(["relu", "tanh"]), TypeError, r"options: .* Choice\('relu', 'tanh'\), got"),
        (lambda: Choice(("a", 1)), TypeError, r"options: expected .*, Choice\('a', 1\), got"),
        (lambda: Log((1e-4, 1)), TypeError, r"low, high: .* Log\(0.0001, 1\), got \(0.0001, 1\)"),
        (lambda: Uniform([0, 1]), TypeError, r"low, high: .* Uniform\(0, 1\), got \[0, 1\]"),
        (lambda: Int((1, 4)), TypeError, r"low, high: expected two numbers, Int\(1, 4\)"),
        (lambda: Log(1, 2).narrowed([]), ValueError, "values: expected at least one"),
        (lambda: Log(1, 2).narrowed([1], 2), ValueError, "margin: expected"),
        (lambda: Log(1, 2).narrowed([1], within=Int(1, 2)), TypeError, "within: expected a range"),
    ],
)
def test_ranges_that_are_none(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_ranges_read_well():
    ranges = [Log(1e-6, 0.01), Uniform(0, 0.7), Int(1, 5), Int(8, 64, log=True), Choice("a", 1)]
    assert ", ".join(map(repr, ranges)) == (
        "Log(1e-06, 0.01), Uniform(0, 0.7), Int(1, 5), Int(8, 64, log=True), Choice('a', 1)"
    )
