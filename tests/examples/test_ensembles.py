"""The examples of ensembles and of second-order methods show what they say they show."""

import re

import pytest

pytestmark = pytest.mark.slow


def rows(printed):
    """Return the numbers of each line of a table by what stands before them."""
    lines = [re.split(r" {2,}", line) for line in printed.splitlines()]
    return {name: [float(n) for n in numbers] for name, *numbers in lines if is_row(numbers)}


def is_row(cells):
    return bool(cells) and all(re.fullmatch(r"[\d.]+(e[+-]\d+)?", cell) for cell in cells)


def test_ensembles(run, picture):
    found = rows(run("ensembles.py", "--networks", 3, "--epochs", 3, "--steps", 100))
    single = found["3 networks, their mean"]
    ensemble = found["ensemble of the 3 networks"]
    assert ensemble[0] > single[0] and ensemble[1] < single[1]
    for name in ("their moving averages, mean", "their last 3 checkpoints, mean"):
        assert abs(found[name][0] - single[0]) < 0.05
    assert found["one network, distilled from it"][0] > 0.88
    assert found["it learns from"] == [300, 1000, 3000, 10000]
    labels, soft = found["labels"], found["soft targets, T = 4"]
    assert soft[0] > labels[0] + 0.02
    picture("ensembles.png")


def test_second_order(run, picture):
    printed = run("second_order.py", "--images", 500, "--passes", 70)
    network, regression = map(rows, printed.split("Softmax regression"))
    first, last = 0, 4  # after 5 and after 70 passes
    for name in ("SGD", "Adam"):
        assert network["L-BFGS"][first] > network[name][first]
        assert network["L-BFGS"][last] < 1e-6 < network[name][last]
    above = [regression[name][8] for name in ("Newton", "L-BFGS", "gradient descent")]
    assert above == sorted(above)
    picture("second_order.png")
