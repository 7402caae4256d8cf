"""Files that are written whole or not at all, also by processes that are killed."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from processes import environment

from fastnn import MultiLayerNet
from fastnn._utils import files
from fastnn._utils.files import replacing


def network():
    return MultiLayerNet(2, [2], 2, seed=0)


def parts(folder):
    return sorted(folder.glob("*.part"))


HALFWAY = """
    import sys, time
    import numpy as np
    from pathlib import Path

    def savez(file, **arrays):
        file.write(b"half")
        file.flush()
        print("half", flush=True)
        time.sleep(60)

    np.savez = savez
    {imports}
    {call}
"""
SAVE = ("from fastnn import MultiLayerNet", "MultiLayerNet(2, [2], 2).save(sys.argv[1])")
DOWNLOAD = (
    "from fastnn.datasets import download",
    """
    download._receive = lambda url, name, part, **limits: savez(part)
    path = Path(sys.argv[1])
    download.fetch(path.name, ["http://nowhere/"], path.parent, size=1, sha256="")
    """,
)


def halfway(path, what=SAVE):
    """Return a process that has written half of a file."""
    imports, call = what
    script = textwrap.dedent(HALFWAY).format(imports=imports, call=textwrap.dedent(call))
    command = [sys.executable, "-c", script, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    assert process.stdout.readline() == "half\n"
    return process


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)


def age(path, seconds):
    """Let a file be as one that nobody has written to for so long."""
    os.utime(path, (time.time() - seconds,) * 2)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="nothing is locked there")
@pytest.mark.parametrize("what", [SAVE, DOWNLOAD], ids=["save", "download"])
def test_what_a_killed_process_was_writing_is_removed_by_the_next_one(what, tmp_path):
    for name in ("a.npz", "b.npz"):
        kill(halfway(tmp_path / name, what))
    for part in parts(tmp_path):
        age(part, 120)
    live = halfway(tmp_path / "a.npz", what)
    try:
        (left,) = parts(tmp_path)  # it has removed the others, before it began its own
        age(left, 120)
        assert left.name.startswith("a.npz.fastnn-")
        other = tmp_path / f"a.npz.{'0' * 32}.part"  # of somebody else
        other.write_bytes(b"")
        network().save(tmp_path / "c.npz")
        assert parts(tmp_path) == sorted([left, other])
    finally:
        kill(live)
    network().save(tmp_path / "a.npz")
    assert parts(tmp_path) == [other]


@pytest.mark.skipif(os.name == "nt", reason="nothing is locked there")
def test_what_another_machine_writes_stays_where_locks_are_of_one_machine(tmp_path):
    recent, old = (tmp_path / f"a.fastnn-{digit * 32}.part" for digit in "01")
    for path, seconds in ((recent, 30), (old, 120)):
        path.write_bytes(b"half")
        age(path, seconds)
    network().save(tmp_path / "net.npz")
    assert parts(tmp_path) == [recent]


@pytest.mark.skipif(os.name == "nt", reason="nothing is locked there")
def test_a_file_that_this_process_writes_stays(tmp_path):
    with replacing(tmp_path / "a") as file:
        file.write(b"first")
        with replacing(tmp_path / "b") as other:
            other.write(b"second")
        network().save(tmp_path / "c.npz")
    assert (tmp_path / "a").read_bytes() == b"first" and (tmp_path / "b").read_bytes() == b"second"
    assert not parts(tmp_path) and not files._written


def test_a_new_file_that_another_process_removes_before_it_is_locked(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    removed = []

    class Faster:
        LOCK_EX, LOCK_NB = fcntl.LOCK_EX, fcntl.LOCK_NB

        @staticmethod
        def flock(file, how):
            if not removed:
                removed.append(file.name)
                os.unlink(file.name)
            fcntl.flock(file, how)

    monkeypatch.setattr(files, "fcntl", Faster)
    with replacing(tmp_path / "a") as file:
        assert file.name not in removed
        file.write(b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole" and len(removed) == 1
    assert os.listdir(tmp_path) == ["a"]


def test_without_locks_only_what_is_old_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)
    old, new = (tmp_path / f"a.fastnn-{digit * 32}.part" for digit in "01")
    for path in (old, new):
        path.write_bytes(b"half")
    age(old, 2 * 24 * 3600)
    network().save(tmp_path / "net.npz")
    assert parts(tmp_path) == [new]


def test_a_lock_that_the_file_system_does_not_have(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def flock(file, how):
        raise OSError("no locks available")

    left = tmp_path / f"a.fastnn-{'0' * 32}.part"
    left.write_bytes(b"of nobody knows whom")
    monkeypatch.setattr(fcntl, "flock", flock)
    network().save(tmp_path / "net.npz")
    assert sorted(os.listdir(tmp_path)) == [left.name, "net.npz"]


def test_threads_leave_each_others_files(tmp_path):
    writers = [
        threading.Thread(target=network().save, args=(tmp_path / f"{i % 2}.npz",))
        for i in range(12)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(os.listdir(tmp_path)) == ["0.npz", "1.npz"]
