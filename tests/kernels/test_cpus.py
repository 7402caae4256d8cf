"""The number of processors, where a container has a quota."""

import math
import os
import subprocess
import sys

import pytest

from fastnn.kernels.threading import cpus


@pytest.fixture
def groups(tmp_path):
    """Make control groups of version 1 or 2, and say which the process is in."""

    def make(own, files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return cpus._quota(tmp_path / "root", tmp_path / "own")

    return make


@pytest.mark.parametrize(
    ("text", "quota"),
    [("max 100000", math.inf), ("150000 100000", 1.5), ("400000 100000", 4), ("", math.inf)],
)
def test_version_2(groups, text, quota):
    assert groups("0::/a/b\n", {"a/b/cpu.max": text}) == quota


def test_group_around_the_group_counts_too(groups):
    files = {"a/cpu.max": "100000 100000", "a/b/cpu.max": "300000 100000"}
    assert groups("0::/a/b\n", files) == 1


def test_path_that_only_the_host_knows(groups):
    assert groups("0::/docker/1234\n", {"cpu.max": "250000 100000"}) == 2.5


@pytest.mark.parametrize(("value", "quota"), [("-1", math.inf), ("50000", 0.5)])
def test_version_1(groups, value, quota):
    files = {"cpu/a/cpu.cfs_quota_us": value, "cpu/a/cpu.cfs_period_us": "100000"}
    assert groups("3:memory:/x\n2:cpu,cpuacct:/a\n", files) == quota


def test_system_without_control_groups(tmp_path):
    assert cpus._quota(tmp_path, tmp_path / "none") == math.inf


@pytest.mark.parametrize(("quota", "threads"), [(0.5, 1), (1.5, 2), (2, 2), (math.inf, 64)])
def test_quota_bounds_the_threads(monkeypatch, quota, threads):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "64")
    monkeypatch.setattr(cpus, "_quota", lambda root, own: quota)
    assert cpus.available() == threads


@pytest.mark.parametrize("text", ["nothing\n", "1:x\n", "", "0::\n"])
def test_lines_that_say_nothing(groups, text):
    assert groups(text, {}) == math.inf


def test_quota_without_a_period(groups):
    assert groups("0::/a\n", {"a/cpu.max": "100 0"}) == math.inf


@pytest.mark.parametrize("text", ["", "3", " 5 ", "many"])
def test_number_is_that_of_numba(text):
    code = "import numba\nfrom fastnn.kernels.threading import cpus\n"
    code += "print(numba.config.NUMBA_NUM_THREADS, cpus._threads())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_NUM_THREADS": text},
        capture_output=True,
        text=True,
        check=True,
    )
    expected, found = done.stdout.split()
    assert found == expected
