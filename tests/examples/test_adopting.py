"""The page on adopting fastnn, and its script."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn import ops

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def test_adopting_step_by_step(tmp_path):
    # In a process of its own, as it sets the number of threads.
    out = tmp_path / "folder"
    done = subprocess.run(
        [
            sys.executable, EXAMPLES / "adopt_step_by_step.py", "--bundled", "--rounds", "1",
            "--steps", "3", "--dtype", "float64", "--out", out,
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = (out / "adopt_step_by_step.txt").read_text()
    assert table in done.stdout
    rows = [re.split(r"  +", line) for line in table.splitlines()[2:]]
    assert [row[0] for row in rows] == [
        "nothing", "layers", "their gradients", "loss", "update", "all",
    ]  # fmt: skip
    assert len({row[-1] for row in rows}) == 1  # all versions compute the same
    # Where NumPy multiplies on several threads, our functions have one.
    numpys, ours = zip(*(row[2].split(", ") for row in rows), strict=True)
    assert numpys[-1] == ours[0] == "-"
    assert all(
        one == "1" for numpy, one in zip(numpys[1:-1], ours[1:-1], strict=True) if numpy != "1"
    )
    assert all(row[3].startswith("1.00x") for row in rows[:1])


def test_what_the_script_says_follows_from_its_numbers(example):
    conclusions = example("adopt_step_by_step.py").conclusions
    said = conclusions({"nothing": 1, "layers": 1.2, "loss": 1.1, "all": 2.5})
    assert said.startswith('Alone "layers" gains most, 1.20x; all together are 2.50 times')
    said = conclusions({"nothing": 1, "layers": 0.9, "loss": 0.95, "all": 0.8})
    assert "gains anything" in said and "all together are 0.80 times as fast" in " ".join(
        said.split()
    )


def test_code_of_the_page_on_adopting():
    """Plain NumPy and its replacements give the same loss, gradients and parameters."""
    page = (EXAMPLES / "adopting.md").read_text()
    plain, layers, gradients, loss, update = re.findall(r"```python\n(.*?)```", page, re.S)
    results = []
    for blocks in ([plain], [layers, loss, gradients, GRADS, update]):
        names = {"np": np, "ops": ops, "n": 20, "step": 3}
        rng = np.random.default_rng(0)
        for i, (d, h) in enumerate(((12, 9), (9, 8), (8, 5)), start=1):
            names[f"W{i}"], names[f"b{i}"] = rng.standard_normal((d, h)), rng.random(h)
        names["x"], names["t"] = rng.standard_normal((20, 12)), rng.integers(0, 5, 20)
        names["params"] = [names[f"{p}{i}"] for i in (1, 2, 3) for p in ("W", "b")]
        for kind in ("first_moments", "second_moments"):
            names[kind] = [rng.random(p.shape) for p in names["params"]]
        for block in blocks:
            exec(block, names)
        results.append([names["loss"], *names["grads"], *names["params"]])
    for ours, numpys in zip(*results, strict=True):
        np.testing.assert_allclose(ours, numpys, rtol=1e-10, atol=1e-13)


GRADS = "grads = dW1, db1, dW2, db2, dW3, db3"
