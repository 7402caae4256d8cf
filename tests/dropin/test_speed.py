"""The script that compares the drop-in's speed with NumPy's: how it runs scripts."""

import math
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.slow

MEASURE = Path(__file__).parent / "speed" / "measure.py"


@pytest.fixture
def measure(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])  # which the script adds to
    return SimpleNamespace(**runpy.run_path(str(MEASURE), run_name="measure"))


@pytest.fixture
def script(measure, tmp_path):
    """Return a script whose result is told by where it runs, and which is slow on two threads."""
    path = tmp_path / "script.py"
    path.write_text(
        "import os, time\n"
        "import common.layers\n"
        "ours = 'numpy_dlfs' not in (common.layers.__file__ or '')\n"
        "if not ours and os.environ['OPENBLAS_NUM_THREADS'] == '2':\n"
        "    time.sleep(60)\n"
        "print('result', 4.0, 1.0 if ours else 2.0)\n"
        "print('seconds', 0.125 if ours else 0.5)\n"
    )
    return measure.Script(path)


def test_a_script_runs_both_ways(script):
    assert script.numpy(1) == 0.5
    assert script.fastnn() == 0.125
    assert script.apart() == 0.5


def test_a_trial_of_threads_gives_up(measure, script, monkeypatch):
    monkeypatch.setitem(measure.Script.trial.__globals__, "START", 1.0)
    assert script.trial(1) == 0.5
    assert script.trial(2) == math.inf


def test_an_error_of_a_script_ends_it(measure, tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text("raise ValueError('of the script')")
    with pytest.raises(SystemExit, match="of the script"):
        measure.Script(path).numpy(None)
