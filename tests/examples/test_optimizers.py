"""Optimizers and learning rates: the examples show what the chapter and the notes say."""

import math
import re

import pytest
from PIL import Image


def rows(text, names):
    """Return the numbers in the lines of a table by the lines' names; "-" stands for None."""
    found = {}
    for name in names:
        line = re.search(rf"^{re.escape(name)}  +(.*)$", text, re.M)
        assert line, f"no line {name} in {text}"
        found[name] = [None if word == "-" else float(word.rstrip("x")) for word in line[1].split()]
    return found


SIX = ("SGD", "Momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam")


def test_paths(run, picture):
    table = rows(run("optimizer_paths.py"), SIX)
    rates, f, distance, way, first, for_good = (
        {name: row[i] for name, row in table.items()} for i in range(6)
    )
    assert [rates[name] for name in ("SGD", "Momentum", "AdaGrad", "Adam")] == [0.95, 0.1, 1.5, 0.3]
    # SGD multiplies y by 1 - 2 * 0.95 and x by 1 - 0.95 / 10 at each step.
    x, y = -7 * 0.905**30, 2 * 0.9**30
    assert f["SGD"] == pytest.approx(x**2 / 20 + y**2, abs=5.1e-5)
    assert distance["SGD"] == pytest.approx((x**2 + y**2) ** 0.5, abs=5.1e-4)
    assert way["SGD"] == pytest.approx((2 - y) * 1.9 / 0.1, abs=0.051)
    # It zigzags most; AdaGrad, which goes down y = 2 and no further, does not.
    assert sorted(way, key=way.get)[-2:] == ["Momentum", "SGD"] and way["SGD"] > 3 * way["Momentum"]
    assert way["AdaGrad"] == 2.0 and f["AdaGrad"] == min(f.values())
    # All but Adam come near sooner than SGD. Momentum's run past the minimum costs it the lead.
    assert sorted(first, key=first.get)[-2:] == ["SGD", "Adam"]
    assert for_good["AdaGrad"] < for_good["SGD"] < for_good["Nesterov"] < for_good["Momentum"]
    assert for_good["RMSProp"] is None  # its steps do not shrink
    for name in ("gradient_field.png", "optimizer_paths.png", "optimizer_paths_six.png"):
        picture(name)


def test_saddle_point(run, picture, tmp_path):
    table = rows(run("saddle_point.py", "--frames", 3), SIX)
    escape = {name: row[1] for name, row in table.items()}
    assert sorted(escape, key=escape.get) == [
        "RMSProp", "Adam", "AdaGrad", "Nesterov", "Momentum", "SGD",
    ]  # fmt: skip
    assert 0.001 * 1.1 ** (escape["SGD"] - 1) < 1 < 0.001 * 1.1 ** escape["SGD"]
    assert escape["SGD"] > 2 * escape["Momentum"] > 2 * escape["AdaGrad"]
    picture("saddle_point.png")
    with Image.open(tmp_path / "saddle_point.gif") as animation:
        assert animation.n_frames == 3 and animation.size == (700, 520)


def test_compare_optimizers(run, picture):
    text = run("compare_optimizers_mnist.py", "--epochs", 1, "--batch-size", 400)
    assert "data: the bundled subset of MNIST, 10000 training and 2000 test images" in text
    accuracy, numpys = ({name: row[i] for name, row in rows(text, SIX).items()} for i in (-2, -1))
    for name in SIX:
        # Rounding parts the two; after 25 steps they differ by up to 0.014 here (RMSProp, whose
        # steps are the largest).
        assert abs(accuracy[name] - numpys[name]) < 0.04
    # As in the book: SGD is far behind, those that adapt the rate are first.
    behind, *middle = sorted(accuracy, key=accuracy.get)[:3]
    assert behind == "SGD" and sorted(middle) == ["Momentum", "Nesterov"]
    assert accuracy["SGD"] < 0.5 < accuracy["Momentum"] and accuracy["Adam"] > 0.75
    picture("optimizers_mnist.png")


def test_learning_rate_schedules(run, picture):
    epochs, steps_per_epoch, rate = 10, 250, 0.05
    names = (
        "constant", "step decay", "exponential", "1/t", "cosine", "warm-up, cosine",
        "reduce on plateau",
    )  # fmt: skip
    table = rows(run("learning_rate_schedules.py", "--epochs", epochs), names)
    final, training, validation = ({name: row[i] for name, row in table.items()} for i in range(3))
    share = 1 - 1 / (epochs * steps_per_epoch)  # of the steps, before the last one
    expected = {
        "constant": 1, "step decay": 0.5**4, "exponential": math.exp(-4 * share),
        "1/t": 1 / (1 + 15 * share), "cosine": 0, "warm-up, cosine": 0,
    }  # fmt: skip
    for name, factor in expected.items():
        assert final[name] == pytest.approx(rate * factor, abs=5.1e-6), name
    # The constant rate stops above where all others get; on other seeds 1/t comes closest to it.
    assert max(validation, key=validation.get) == "constant"
    for name in ("step decay", "cosine", "warm-up, cosine"):
        assert training[name] < 0.7 * training["constant"], name
    # Without a stall it is the constant rate.
    assert training["reduce on plateau"] <= training["constant"]
    reduced = final["reduce on plateau"] < rate
    assert reduced == (validation["reduce on plateau"] < validation["constant"])
    picture("learning_rate_schedules.png")
