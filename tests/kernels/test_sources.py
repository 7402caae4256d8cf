"""The key of compiled kernels where the package is no folder of source files."""

import compileall
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from procedures import call
from processes import of_compiling

import fastnn
import fastnn.kernels
from fastnn.kernels.codegen import cache
from fastnn.kernels.codegen.compile import procedure
from fastnn.kernels.plain import sources

FOLDER = """
import fastnn
from fastnn.kernels.codegen import cache
assert fastnn.__file__.startswith({home!r}), fastnn.__file__
print(cache.folder())
"""
RELU = """
import numpy as np
from fastnn import datasets, ops
from fastnn.kernels.machine import made
assert (ops.relu(np.array([-1.0, 2.0])) == [0.0, 2.0]).all()
assert len(datasets.load_mnist(subset="bundled")[0][0]) > 0
relu = made.function("relu", np.dtype(float))
print(sum(relu.stats.cache_misses.values()))
"""


def run(home, script, **variables):
    done = subprocess.run(
        [sys.executable, "-c", FOLDER.format(home=str(home)) + script],
        env=of_compiling(PYTHONPATH=home, FASTNN_QUIET=1, **variables),
        cwd=os.sep,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.split()


def copied(target):
    """Copy the package, with its kernels inside, and return one of the kernels' files."""
    package = Path(fastnn.__file__).parent
    ignored = shutil.ignore_patterns("kernels", "__pycache__")
    shutil.copytree(package, target / "fastnn", ignore=ignored)
    kernels = target / "fastnn" / "kernels"
    shutil.copytree(Path(fastnn.kernels.__file__).parent, kernels)
    return kernels / "layers" / "activations.py"


def edit(file):
    file.write_text(file.read_text() + "\n\ndef _another(x):\n    return x + 12345\n")


def archive(folder, target):
    with zipfile.ZipFile(target, "w") as made:
        for path in folder.rglob("*"):
            made.write(path, path.relative_to(folder))
    return target


@pytest.mark.slow
def test_in_a_zip_file(tmp_path):
    file = copied(tmp_path / "tree")
    home, place = archive(tmp_path / "tree", tmp_path / "one.zip"), tmp_path / "cache"
    folder, compiled = run(home, RELU, FASTNN_CACHE_DIR=place)
    assert compiled == "1" and list(Path(folder).glob("*.bin"))
    assert run(home, RELU, FASTNN_CACHE_DIR=place) == [folder, "0"]
    edit(file)
    changed = archive(tmp_path / "tree", tmp_path / "other.zip")
    assert run(changed, "", FASTNN_CACHE_DIR=place) != [folder]


@pytest.mark.slow
def test_with_compiled_modules_alone(tmp_path):
    """As in a frozen program: there is code, and no source."""

    def without_sources():
        compileall.compile_dir(tmp_path, quiet=2, legacy=True, force=True)
        kept = {path: path.read_bytes() for path in tmp_path.rglob("*.py")}
        for path in kept:
            path.unlink()
        folders = {tuple(run(tmp_path, "", PYTHONHASHSEED=seed)) for seed in (1, 2)}
        for path, content in kept.items():
            path.write_bytes(content)
        (folder,) = folders
        return folder

    file = copied(tmp_path)
    before = without_sources()
    edit(file)
    assert without_sources() != before


def test_all_modules_are_part_of_the_digest():
    names = [name for name, _ in sources.contents("fastnn.kernels")]
    assert "codegen/cache.py" in names and len(names) > 30
    assert len(set(names)) == len(names)


@pytest.fixture
def nothing_known(monkeypatch):
    """Let the package have neither files nor modules, as some loaders would."""
    monkeypatch.setattr(sources, "_files", lambda root: iter(()))
    monkeypatch.setattr(sources.pkgutil, "iter_modules", lambda path, prefix: iter(()))
    for cached in (cache.folder, cache._key):
        cached.cache_clear()
    yield
    for cached in (cache.folder, cache._key):
        cached.cache_clear()


@pytest.mark.usefixtures("nothing_known")
def test_a_digest_of_nothing_is_no_key():
    def twice(x):
        return 2 * x

    twice.__module__ = "fastnn.kernels.of_a_test"
    compiled = procedure(twice)
    with pytest.warns(RuntimeWarning, match="not kept on disk.*no modules") as caught:
        assert call(compiled, 4) == 8
    assert len(caught) == 1
    assert cache.folder() is None and not cache.keeps() and cache.files() == []


def test_a_module_without_source_and_code_is_named(monkeypatch):
    monkeypatch.setattr(sources, "_files", lambda root: iter(()))
    monkeypatch.setattr(sources.util, "find_spec", lambda name: None)
    with pytest.raises(LookupError, match=r"fastnn\.kernels has neither source nor code"):
        list(sources.contents("fastnn.kernels"))
