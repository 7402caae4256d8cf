"""Compiled kernels on disk: what is read and written, here and by processes of their own."""

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pytest
from procedures import call
from processes import of_compiling

from fastnn.kernels.codegen import cache
from fastnn.kernels.codegen.compile import procedure
from fastnn.kernels.plain import storage

# Compiles or loads one kernel, and prints how many signatures were compiled.
RELU = """
import numpy as np
from fastnn import ops
from fastnn.kernels.codegen import cache
from fastnn.kernels.machine import made
assert (ops.relu(np.array([-1.0, 2.0])) == [0.0, 2.0]).all()
relu = made.function("relu", np.dtype(float))
print(sum(relu.stats.cache_misses.values()), cache.folder())
"""


def run(script, **variables):
    return subprocess.run(
        [sys.executable, "-W", "default", "-c", script],
        env=of_compiling(FASTNN_QUIET=1, **variables),
        capture_output=True,
        text=True,
        check=False,
    )


def compiled(script=RELU, **variables):
    """Return the number of compiled signatures, the cache folder and what was warned."""
    done = run(script, **variables)
    assert done.returncode == 0, done.stderr
    count, folder = done.stdout.split()
    return int(count), Path(folder), done.stderr


@pytest.mark.slow
def test_second_process_compiles_nothing(tmp_path):
    first, folder, _ = compiled(FASTNN_CACHE_DIR=tmp_path)
    assert first == 1
    assert folder.is_relative_to(tmp_path)
    assert len(list(folder.glob("fastnn.kernels.layers.activations.fastnn_relu_64-*.bin"))) == 1
    assert compiled(FASTNN_CACHE_DIR=tmp_path) == (0, folder, "")
    assert not list(folder.glob("*.tmp"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return where this process keeps kernels during a test; it may warn of it anew."""
    place = tmp_path / "a" / "b" / "kernels"
    monkeypatch.setattr(cache, "folder", lambda: place)
    cache._warn_once.cache_clear()
    yield place
    cache._warn_once.cache_clear()


def counted():
    """Call a small kernel as a new process would; return how many signatures were compiled."""

    def twice(x):
        return 2 * x

    twice.__module__ = "fastnn.kernels.of_a_test"
    kernel = procedure(twice)  # of one name, as in all processes
    assert call(kernel, 4) == 8
    return sum(kernel.stats.cache_misses.values())


def expect_one_warning(warned, *parts):
    assert warned.count("compiled kernels are not kept on disk") == 1, warned
    for part in ("FASTNN_CACHE_DIR", *parts):
        assert str(part) in warned


def warned_of_two():
    """Return what is warned when two kernels are compiled."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert (counted(), counted()) == (1, 1)
    assert {each.category for each in caught} == {RuntimeWarning}
    return "".join(str(each.message) for each in caught)


@pytest.mark.parametrize("damage", ["truncated", "empty", "one bit", "another's", "a folder"])
def test_damaged_file_is_compiled_again(folder, damage):
    assert counted() == 1
    (path,) = folder.glob("*.bin")
    content = path.read_bytes()
    middle = len(content) // 2
    path.unlink()
    if damage == "a folder":
        path.mkdir()
        expect_one_warning(warned_of_two(), folder, "Is a directory")
        return
    changed = {
        "truncated": content[:middle],
        "empty": b"",
        "one bit": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "another's": os.urandom(len(content)),
    }
    path.write_bytes(changed[damage])
    assert (counted(), counted()) == (1, 0)


def test_folder_that_cannot_be_written_costs_one_warning(folder):
    folder.parents[1].write_text("not a folder")
    expect_one_warning(warned_of_two(), folder, "Not a directory")


# The package as it would be after an edit in a file that the kernel itself is not in.
EDITED = """
import shutil, sys, pathlib, importlib.util
import fastnn.kernels
source = pathlib.Path(fastnn.kernels.__file__).parent
copy = pathlib.Path({copy!r})
if not copy.exists():
    shutil.copytree(source, copy)
    file = copy / "codegen" / "elementary.py"
    text, line = file.read_text(), "return scaled(e + one, n)"
    assert line in text
    file.write_text(text.replace(line, "return real(2) * scaled(e + one, n)"))
for name in [n for n in sys.modules if n.startswith("fastnn")]:
    del sys.modules[name]
importlib.util.find_spec("fastnn")
import importlib.machinery
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "fastnn.kernels":
            return importlib.util.spec_from_file_location(
                name, copy / "__init__.py", submodule_search_locations=[str(copy)])
sys.meta_path.insert(0, Finder)
"""
SOFTMAX = """
import numpy as np
from fastnn import ops
from fastnn.kernels.codegen import cache
from fastnn.kernels.machine import made
y = ops.sigmoid(np.array([0.0]))
sigmoid = made.function("sigmoid", np.dtype(float))
print(sum(sigmoid.stats.cache_misses.values()), cache.folder())
import sys
print(y[0], file=sys.stderr)
"""


@pytest.mark.slow
def test_edit_in_another_file_is_seen(tmp_path):
    edited = EDITED.format(copy=str(tmp_path / "kernels")) + SOFTMAX
    assert compiled(SOFTMAX, FASTNN_CACHE_DIR=tmp_path / "cache")[::2] == (1, "0.5\n")
    count, folder, value = compiled(edited, FASTNN_CACHE_DIR=tmp_path / "cache")
    assert (count, float(value)) == (1, pytest.approx(1 / 3))
    assert compiled(edited, FASTNN_CACHE_DIR=tmp_path / "cache") == (0, folder, value)
    assert compiled(SOFTMAX, FASTNN_CACHE_DIR=tmp_path / "cache")[::2] == (0, "0.5\n")


@pytest.mark.slow
def test_processes_that_start_at_once(tmp_path):
    variables = of_compiling(FASTNN_CACHE_DIR=tmp_path)
    started = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", RELU], env=variables)
        for _ in range(4)
    ]
    assert [process.wait() for process in started] == [0] * 4
    assert compiled(FASTNN_CACHE_DIR=tmp_path)[0] == 0


def test_nothing_compiles_at_import(tmp_path):
    script = """
import numba.core.event as event
with event.install_recorder("numba:compile") as recorder:
    import fastnn
print(len(recorder.buffer), "-")
"""
    assert compiled(script, FASTNN_CACHE_DIR=tmp_path)[0] == 0
    assert list(tmp_path.iterdir()) == []


owners = pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners of files here")


@owners
@pytest.mark.parametrize("kind", ["link", "file others can write"])
def test_file_that_others_may_have_written_is_not_run(folder, tmp_path, kind):
    assert counted() == 1
    (path,) = folder.glob("*.bin")
    if kind == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.chmod(0o666)
    assert (counted(), counted()) == (1, 0)  # it was put right


@owners
@pytest.mark.parametrize("level", [0, 1])
def test_folder_in_which_others_can_write_costs_one_warning(folder, tmp_path, level):
    assert counted() == 1
    open_to_others = [folder, *folder.parents][level]
    open_to_others.chmod(0o777)
    if level == 1:  # where they have put a link to files that are this user's, too
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    expect_one_warning(warned_of_two(), open_to_others, "chmod go-w")


@owners
def test_folder_that_another_user_makes_meanwhile(folder, monkeypatch):
    make = Path.mkdir

    def first(path, mode):
        make(path)
        path.chmod(0o777)
        raise FileExistsError

    monkeypatch.setattr(Path, "mkdir", first)
    expect_one_warning(warned_of_two(), "other users can write", folder.parents[1])
    assert not list(folder.iterdir())


TWO_KERNELS = RELU.replace("print(", "ops.tanh(np.ones(3)); print(")


@pytest.mark.slow
def test_without_a_home_and_with_nothing_to_write_to():
    """As in a container with a read-only file system: functions work, with one warning."""
    nowhere = {"HOME": "/proc/none", "XDG_CACHE_HOME": "", "TMPDIR": "/proc/none"}
    count, _, warned = compiled(TWO_KERNELS, **nowhere)
    assert count == 1  # of the first of them
    expect_one_warning(warned)


# Runs the rest as another user, who may not be able to read what Numba imports when it compiles.
AS_ANOTHER = """
import os
import numba, numpy as np
import fastnn.ops
numba.njit(lambda x: np.exp(x).sum())(np.ones(3))
os.setgroups([]); os.setgid(54321); os.setuid(54321)
"""


@pytest.mark.slow
@pytest.mark.skipif(getattr(os, "getuid", lambda: 1)() != 0, reason="not the system's user")
@pytest.mark.parametrize("kept", ["for all", "for one"])
def test_cache_that_the_system_has_filled_for_a_user(kept):
    """As when a container is built by one user and run by another."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are one user's alone
        os.chmod(name, 0o755)
        umask = os.umask(0o022 if kept == "for all" else 0o077)
        try:
            _, folder, _ = compiled(FASTNN_CACHE_DIR=name)
        finally:
            os.umask(umask)
        count, _, warned = compiled(AS_ANOTHER + RELU, FASTNN_CACHE_DIR=name)
        if kept == "for all":
            assert (count, warned) == (0, "")
            count, _, warned = compiled(AS_ANOTHER + TWO_KERNELS, FASTNN_CACHE_DIR=name)
            assert count == 0  # of the first of them
        else:
            assert count == 1
        expect_one_warning(warned, folder, "Permission denied")


@owners
def test_what_is_written_is_this_users_alone_to_write(folder):
    """Whatever files are made for others otherwise."""
    umask = os.umask(0)
    try:
        assert counted() == 1
    finally:
        os.umask(umask)
    (file,) = folder.iterdir()
    modes = {path.stat().st_mode & 0o777 for path in (folder, *folder.parents[:2])}
    assert (file.stat().st_mode & 0o777, modes) == (0o644, {0o755})


def test_what_killed_processes_have_left_is_removed(tmp_path):
    (tmp_path / "old.bin.0.tmp").touch()
    os.utime(tmp_path / "old.bin.0.tmp", (0, 0))
    (tmp_path / "new.bin.0.tmp").touch()
    storage.write(tmp_path / "kernel.bin", b"code")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kernel.bin", "new.bin.0.tmp"]


@pytest.mark.slow
def test_settings_of_the_compiler_are_part_of_the_key(tmp_path):
    script = "from fastnn.kernels.codegen import cache; print(0, cache.folder())"
    settings = ({}, {}, {"NUMBA_LOOP_VECTORIZE": 0}, {"NUMBA_OPT": 0})
    first, again, *others = [compiled(script, FASTNN_CACHE_DIR=tmp_path, **s)[1] for s in settings]
    assert again == first
    assert len({first, *others}) == 3


def test_without_compilation_the_reference_runs():
    script = "import fastnn, numpy as np; print(fastnn.config.get_backend(), fastnn.ops.relu(-1))"
    done = run(script, NUMBA_DISABLE_JIT=1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["numpy", "0.0"]
