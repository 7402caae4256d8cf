"""The examples on checks before learning."""

import re

import pytest

pytestmark = pytest.mark.slow


def test_gradient_checks(run, picture):
    out = run("gradient_checks.py", "--entries", 2, "--burn-in", 30)
    fresh, trained, planted = re.split(r"=== .* ===", out)[1:]
    assert "\nok: the largest error is " in fresh and "\nok: the largest error is " in trained
    assert "after 30 training steps: loss " in trained
    assert "\nFAIL: the largest error is " in planted
    # What lies before the wrong layer gets wrong gradients, what lies behind it right ones.
    last = {key: line for line in planted.splitlines() for key in line.split()[:1]}
    for key in ("W1", "W2", "gamma1", "beta1"):
        assert last[key].endswith("probably wrong"), key
    for key in ("W3", "b3", "gamma2", "beta2"):
        assert "happy" in last[key], key
    error = {
        name: float(value) for name, value in re.findall(r"(\w+, [\w ]+?) +(\d\S+e-\d+) at h", out)
    }
    assert error["tanh, float64"] < 1e-8 < 1e-6 < error["tanh, float32"]
    picture("gradient_checks.png")


def test_sanity_checks(run, picture):
    out = run("sanity_checks.py", "--images", 400)
    failed = dict(re.findall(r"^  (.*): (.*)$", out.split("what failed:")[1], re.MULTILINE))
    assert failed == {
        "a healthy network": "nothing",
        "a wrong gradient: half of dW in Affine2": "gradients",
        "a loss off by a factor: the sum over the batch": "loss at chance",
        "labels shuffled": "beats chance on new samples",
    }
    assert out.count("\nok    ") == 17 and out.count("\nFAIL  ") == 3
    picture("sanity_checks.png")
