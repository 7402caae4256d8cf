"""Interpreters: the script that runs in each, and how results are compared."""

import json
import subprocess
import sys

import pytest

from tests.attack.interpreters import INSTALLATIONS, OLDEST, SMOKE, differing, interpreter


def test_this_interpreter_is_at_hand():
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert interpreter(version) is not None
    assert interpreter("3.99") is None


def test_each_version_has_an_oldest_installation():
    assert {each.python for each in INSTALLATIONS} == {*OLDEST}


@pytest.mark.slow
def test_the_script_writes_a_file_and_reads_that_of_another(tmp_path):
    made = [
        subprocess.run(
            [sys.executable, SMOKE, tmp_path / "net.npz"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    first, second = map(json.loads, made)
    assert first == second
    ((_, result),) = [each for each in first.items() if each[0].isdecimal()]
    assert result["route"] == "program"


def result(bits="a", loss=1.0, numba="1"):
    return {"numpy": "2", "numba": numba, "256": {"bits": bits, "loss": loss}}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (result(), ""),
        (result("b"), "at 256 bits other bits"),
        (result("b", numba="2"), ""),
        (result("b", 1.1, "2"), "at 256 bits loss 1.1, not 1.0"),
    ],
)
def test_results_are_compared(other, message):
    one, two = INSTALLATIONS[:2]
    failures = differing({one: result(), two: other})
    assert bool(failures) == bool(message) and message in " ".join(failures)
