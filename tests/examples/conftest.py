"""Examples, run as a user runs them, in this process: kernels and libraries are loaded once."""

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Return a function that runs an example with options, and returns what it prints.

    Data are the bundled images; pictures go to ``tmp_path``.
    """
    monkeypatch.syspath_prepend(EXAMPLES)

    def run(name, *options):
        path = EXAMPLES / name
        monkeypatch.setattr(
            sys, "argv", [str(path), "--bundled", "--out", str(tmp_path), *map(str, options)]
        )
        capsys.readouterr()
        runpy.run_path(str(path), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.fixture
def example(monkeypatch):
    """Return a function that loads an example or what they share, and runs nothing."""
    monkeypatch.syspath_prepend(EXAMPLES)
    return lambda name: SimpleNamespace(**runpy.run_path(str(EXAMPLES / name), run_name="example"))


@pytest.fixture
def picture(tmp_path):
    """Return a function that checks that a picture was written and is not blank."""
    import matplotlib.image as images

    def picture(name):
        pixels = images.imread(tmp_path / name)
        assert min(pixels.shape[:2]) >= 200
        assert pixels.std() > 0.01

    return picture
