"""What all examples have in common: options, and a place in the gallery."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py") if not path.name.startswith("_"))
PICTURES = sorted(path.name for path in (EXAMPLES / "pictures").iterdir())
GALLERY = EXAMPLES / "README.md"


@pytest.mark.parametrize("name", SCRIPTS)
def test_help(name, monkeypatch, capsys):
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    text = capsys.readouterr().out
    for option in ("--data", "--bundled", "--seed", "--out", "--full"):
        assert option in text, option
    # Each option says what it is.
    assert not re.search(r"^  --\S+( [A-Z_]+)?\n(  -|\Z)", text, re.M)


def test_help_from_another_folder(tmp_path):
    """A script finds what it shares with others wherever it is called from."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / "initial_values.py", "--help"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "option, value, expected",
    [
        ("--epochs", "0", "an integer of at least 1"),
        ("--seconds", "0", "a number above 0"),
        ("--seconds", "nan", "a number above 0"),
    ],
)
def test_bad_options(option, value, expected, monkeypatch, capsys):
    monkeypatch.syspath_prepend(EXAMPLES)
    name = "compare_optimizers_mnist.py"
    monkeypatch.setattr(sys, "argv", [name, option, value])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    assert f"{option}: expected {expected}, got {value}" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*SCRIPTS, *PICTURES])
def test_the_gallery_has_it(name):
    path = name if name in SCRIPTS else f"pictures/{name}"
    assert f"({path})" in GALLERY.read_text()


@pytest.mark.parametrize("name", PICTURES)
def test_a_clone_stays_small(name):
    limit = 1_200_000 if name.endswith(".gif") else 200_000
    assert (EXAMPLES / "pictures" / name).stat().st_size < limit
