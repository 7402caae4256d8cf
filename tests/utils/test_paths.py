"""The folder that fastnn keeps its files in."""

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from fastnn import MultiLayerNet, callbacks, datasets
from fastnn._utils import paths as _paths
from fastnn._utils.paths import cache_dir


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in ("FASTNN_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)


def on(platform, monkeypatch):
    monkeypatch.setattr(_paths, "sys", SimpleNamespace(platform=platform))


def without_home(monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_own_variable_wins(platform, monkeypatch, tmp_path):
    on(platform, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine"


def test_own_variable_knows_the_home_sign(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("FASTNN_CACHE_DIR", os.path.join("~", "mine"))
    assert cache_dir() == tmp_path / "mine"


def test_empty_variables_count_as_unset(monkeypatch, tmp_path):
    on("linux", monkeypatch)
    monkeypatch.setenv("FASTNN_CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_dir() == tmp_path / ".cache" / "fastnn"


@pytest.mark.parametrize(
    ("platform", "below_home"),
    [("linux", ".cache"), ("darwin", "Library/Caches"), ("win32", "AppData/Local")],
)
def test_user_cache_below_home(platform, below_home, monkeypatch, tmp_path):
    on(platform, monkeypatch)
    assert cache_dir() == tmp_path / below_home / "fastnn"


def test_xdg_cache_home(monkeypatch, tmp_path):
    on("linux", monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "fastnn"


def test_relative_xdg_cache_home_is_ignored(monkeypatch, tmp_path):
    on("linux", monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", "xdg")
    assert cache_dir() == tmp_path / ".cache" / "fastnn"


def test_xdg_cache_home_is_not_for_macos(monkeypatch, tmp_path):
    on("darwin", monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "Library" / "Caches" / "fastnn"


def test_localappdata(monkeypatch, tmp_path):
    on("win32", monkeypatch)
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_dir() == tmp_path / "local" / "fastnn"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="this system has no user numbers")
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_without_home_the_user_number_is_in_the_name(platform, monkeypatch):
    on(platform, monkeypatch)
    without_home(monkeypatch)
    path = cache_dir()
    assert path.parent == Path(tempfile.gettempdir())
    assert str(os.getuid()) in path.name


def test_without_home_on_windows(monkeypatch):
    on("win32", monkeypatch)
    without_home(monkeypatch)
    assert cache_dir().parent == Path(tempfile.gettempdir())


def test_unknown_user_without_home_variable(monkeypatch):
    pwd = pytest.importorskip("pwd")

    def getpwuid(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.undo()  # the true Path.home
    for name in ("HOME", "FASTNN_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", getpwuid)
    with pytest.raises(RuntimeError):
        Path.home()
    assert cache_dir().parent == Path(tempfile.gettempdir())


def test_home_sign_without_home(monkeypatch):
    pwd = pytest.importorskip("pwd")

    def getpwuid(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", getpwuid)
    monkeypatch.setenv("FASTNN_CACHE_DIR", "~/mine")
    assert cache_dir() == Path("~/mine")


def test_without_home_and_without_temporary_folder(monkeypatch):
    def gettempdir():
        raise FileNotFoundError("No usable temporary directory found")

    without_home(monkeypatch)
    monkeypatch.setattr(tempfile, "gettempdir", gettempdir)
    assert cache_dir().name.startswith("fastnn")


def test_nothing_is_created(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path / "mine"))
    cache_dir()
    monkeypatch.delenv("FASTNN_CACHE_DIR")
    cache_dir()
    assert list(tmp_path.iterdir()) == []


NO_PATHS = [1, 1.5, None, b"name", ["name"]]
TAKE_PATHS = [
    (datasets.read_idx, "path"),
    (callbacks.CSVLogger, "path"),
    (callbacks.Checkpoint, "path"),
    (callbacks.newest_checkpoint, "path"),
    (MultiLayerNet(2, [3], 2).save, "path"),
]


@pytest.mark.parametrize(
    ("function", "name", "given"),
    [
        *((*taker, given) for taker in TAKE_PATHS for given in NO_PATHS),
        # None stands for no folder.
        *((datasets.mnist_source, "data_dir", given) for given in NO_PATHS if given is not None),
    ],
)
def test_what_is_no_path_is_named(function, name, given):
    """A number is a file that is open to `open`, which would close it: standard output, for one."""
    with pytest.raises(TypeError, match=f"^{name}: expected "):
        function(given)
    os.fstat(1)
