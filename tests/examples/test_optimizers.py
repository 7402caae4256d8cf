"""Optimizers and learning rates: the examples show what the chapter and the notes say."""

import math
import re
from itertools import pairwise

import pytest
from PIL import Image

pytestmark = pytest.mark.slow


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


def compared(text):
    """Return the table of the comparison by optimizer: ratio, its range, accuracies, steps."""
    row = re.compile(
        r"^(\w+) +[\d.]+ +[\d.]+ +\d+ +([\d.]+)x +([\d.]+)-([\d.]+) "
        r"+([\d.]+) +([\d.]+) +(\d+)(\*?)$",
        re.M,
    )
    return {name: [*map(float, cells), star] for name, *cells, star in row.findall(text)}


def test_compare_optimizers(run, picture):
    text = run("compare_optimizers_mnist.py", "--epochs", 1, "--batch-size", 400, "--seconds", 600)
    assert "data: the bundled subset of MNIST, 10000 training and 2000 test images" in text
    table = compared(text)
    assert tuple(table) == SIX
    for ratio, low, high, ours, numpys, steps, star in table.values():
        assert low <= ratio <= high
        assert (steps, star) == (25, "")
        # Rounding parts the two; after 25 steps they differ by up to 0.014 here (RMSProp, whose
        # steps are the largest).
        assert abs(ours - numpys) < 0.04
    accuracy = {name: row[3] for name, row in table.items()}
    # As in the book: SGD is far behind, those that adapt the rate are first.
    behind, *middle = sorted(accuracy, key=accuracy.get)[:3]
    assert behind == "SGD" and sorted(middle) == ["Momentum", "Nesterov"]
    assert accuracy["SGD"] < 0.5 < accuracy["Momentum"] and accuracy["Adam"] > 0.75
    assert "NumPy was stopped" not in text
    picture("optimizers_mnist.png")


def test_compare_optimizers_where_numpy_is_too_slow(run, picture):
    """Accuracies are compared after the same steps; fastnn's last one is told beside the table."""
    text = run("compare_optimizers_mnist.py", "--epochs", 1, "--batch-size", 100, "--seconds", 1e-6)
    table = compared(text)
    assert tuple(table) == SIX
    for _, _, _, ours, numpys, steps, star in table.values():
        assert 3 <= steps <= 30 and star == "*"  # three rounds of a tenth of 100 steps
        assert abs(ours - numpys) < 0.04
    words = " ".join(text.split())
    assert "After all 100 steps, which NumPy did not do, fastnn has: SGD 0." in words
    final = dict(re.findall(r"(\w+) (0\.\d{4})", words.split("fastnn has:")[1]))
    assert tuple(final) == SIX
    assert all(float(final[name]) > table[name][3] for name in ("SGD", "Momentum"))
    picture("optimizers_mnist.png")


def test_turns_are_as_long_as_numpy_bears(example):
    module = example("compare_optimizers_mnist.py")

    def lengths(total, seconds):
        ends = module.ends_of_turns(total, seconds)
        assert ends[-1] == total
        return {after - before for before, after in pairwise([0, *ends])}

    assert lengths(1407, 1e-3) == {140, 141}  # a tenth of the steps
    assert lengths(1407, 0.05) == {4, 5}  # a quarter of a second, and no rest
    assert lengths(1407, 9.0) == lengths(4, 1e-3) == {1}


def test_what_the_comparison_says_follows_from_its_numbers(example):
    module = example("compare_optimizers_mnist.py")
    Spread = example("_timing.py").Spread

    def result(ratio, accuracy, steps):
        return module.Result((0.2, 0.2 * ratio), 1, Spread([ratio]), accuracy, steps, 0.97, [])

    results = {"SGD": result(0.8, (0.9, 0.91), 100), "Adam": result(4.4, (0.95, 0.95), 100)}
    said = " ".join(module.conclusions(results, 100, 10).split())
    assert "NumPy took 0.8 (SGD) to 4.4 (Adam) times as long as fastnn" in said
    assert "at most 0.0100 apart" in said and "*" not in said
    results["Adam"] = result(59, (0.5, 0.5), 7)
    said = " ".join(module.conclusions(results, 100, 10).split())
    assert "to 59.0 (Adam)" in said
    assert "* NumPy was stopped after 10 s" in said and said.endswith("has: Adam 0.9700.")
    assert "7*" in module.table(results, 100)


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
