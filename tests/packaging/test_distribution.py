"""The name under which fastnn is installed, and the commands that install what it needs."""

import importlib
import re
from pathlib import Path

import pytest

import fastnn
from fastnn._cli import commands, info
from fastnn._utils import distribution as _distribution

ROOT = Path(__file__).parents[2]
PYPROJECT = (ROOT / "pyproject.toml").read_text()


def test_name_and_version():
    assert re.search(r'^name = "(.+?)"', PYPROJECT, re.M)[1] == _distribution.NAME
    assert re.search(r'^version = "(.+?)"', PYPROJECT, re.M)[1] == fastnn.__version__


@pytest.fixture
def not_installed(monkeypatch):
    """Let there be no metadata, as in a clone, a zip file or a frozen program."""
    monkeypatch.setattr(_distribution, "NAME", "fastnn-that-is-not-installed")


@pytest.mark.usefixtures("not_installed")
def test_what_was_not_installed(capsys):
    assert _distribution.install_command("plot") == 'pip install --editable ".[plot]"'
    assert _distribution.changed() == []
    assert commands.main(["--version"]) == 0
    assert capsys.readouterr().out == f"fastnn {fastnn.__version__}\n"
    assert info.info()["versions"]["fastnn"] == fastnn.__version__


def test_pyinstaller_finds_the_hook():
    module, function = re.search(r'^hook-dirs = "(.+):(.+)"', PYPROJECT, re.M).groups()
    (folder,) = getattr(importlib.import_module(module), function)()
    assert (Path(folder) / "hook-fastnn.py").is_file()


@pytest.mark.parametrize("extra", ["onnx", "plot", "search", "second-order", "sklearn"])
def test_command_for_an_extra_names_its_packages(extra):
    listed = re.search(rf"^{extra} = \[(.+)\]$", PYPROJECT, re.M)[1]
    needed = re.findall('"(.+?)"', listed)
    assert needed
    command = _distribution.install_command(extra).split()
    assert command[:2] == ["pip", "install"]
    assert sorted(command[2:]) == sorted(f'"{package}"' for package in needed)


def test_no_text_installs_another_project():
    """The package index has `fastnn` from somebody else, and nothing of ours yet."""
    folders = Path(fastnn.__file__).parent, ROOT / "examples"
    texts = [path for folder in folders for path in folder.rglob("*.py")]
    for folder in ("", "examples", "asv_benchmarks", ".github/workflows"):
        texts += *(ROOT / folder).glob("*.md"), *(ROOT / folder).glob("*.yml")
    assert ROOT / "README.md" in texts
    found = {path: re.findall(r"pip install .*\bfastnn\b.*", path.read_text()) for path in texts}
    assert not {path: lines for path, lines in found.items() if lines}
