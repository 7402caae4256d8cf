"""The choice between one thread and several, and the cases in which a region may not start."""

import os
import subprocess
import sys

import numpy as np
import pytest

from fastnn import config, get_num_threads, ops, set_num_threads
from fastnn.kernels import threads


@pytest.fixture(autouse=True)
def _restore_threads():
    before = get_num_threads()
    yield
    set_num_threads(before)


def test_small_work_is_not_cut():
    set_num_threads(64)
    assert threads.chunks(0) == 1
    assert threads.chunks(2 * threads.GRAIN - 1) == 1


def test_large_work_is_cut_up_to_the_threads(monkeypatch):
    monkeypatch.setattr(threads, "_num_threads", 4)
    assert threads.chunks(2 * threads.GRAIN) == 2
    assert threads.chunks(3 * threads.GRAIN) == 3
    assert threads.chunks(100 * threads.GRAIN) == 4


def test_one_thread_is_never_cut():
    set_num_threads(1)
    assert get_num_threads() == 1
    assert threads.chunks(10**12) == 1


def test_more_threads_than_cpus_count_as_all():
    set_num_threads(10_000)
    most = get_num_threads()
    assert 1 <= most <= (os.cpu_count() or 1)
    set_num_threads(most + 1)
    assert get_num_threads() == most


@pytest.mark.parametrize("n", [0, -1, 1.5, "x", None])
def test_bad_number_of_threads(n):
    before = get_num_threads()
    with pytest.raises(ValueError, match="^n: expected a whole number from 1 up, got "):
        set_num_threads(n)
    assert get_num_threads() == before


def test_set_in_one_thread_holds_in_all():
    import threading

    set_num_threads(1)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(get_num_threads()))
    thread.start()
    thread.join()
    assert seen == [1]


def test_large_arrays_run_in_parallel_with_the_same_bits(monkeypatch):
    monkeypatch.setattr(threads, "GRAIN", 1000)
    monkeypatch.setattr(threads, "_num_threads", 3)
    x = np.random.default_rng(0).standard_normal(100_001).astype(np.float32)
    cut = ops.tanh(x)
    monkeypatch.setattr(threads, "_num_threads", 1)
    np.testing.assert_array_equal(cut, ops.tanh(x))


class Machine:
    """A clock, and a kernel whose regions take as long as the test says."""

    def __init__(self):
        self.now = 0
        self.region_takes = 10_000
        self.pieces = []

    def perf_counter_ns(self):
        return self.now

    def kernel(self, pieces):
        self.pieces.append(pieces)
        self.now += self.region_takes if pieces > 1 else 100_000

    def calls(self, n):
        self.pieces.clear()
        for _ in range(n):
            threads.run(self.kernel, (), 4 * threads.GRAIN)
        return self.pieces


@pytest.fixture
def machine(monkeypatch):
    made = Machine()
    monkeypatch.setattr(threads, "time", made)
    for name, value in [("_layer", "omp"), ("_num_threads", 2), ("_forked", False)]:
        monkeypatch.setattr(threads, name, value)
    monkeypatch.setattr(threads, "_serial_until", 0)
    monkeypatch.setattr(threads, "_pause", threads.FIRST_PAUSE)
    return made


def test_regions_go_on_while_they_are_in_time(machine):
    assert machine.calls(1000) == [2] * 1000


def test_late_region_makes_the_next_calls_serial_for_a_while(machine):
    machine.region_takes = 10_000_000
    assert machine.calls(4) == [2, 1, 1, 1]
    machine.now += threads.FIRST_PAUSE
    machine.region_takes = 10_000
    assert machine.calls(4) == [2] * 4


def test_pause_grows_while_regions_are_late_and_is_bounded(machine):
    machine.region_takes = 10_000_000
    parallel = machine.calls(200_000).count(2)
    # 20 seconds of calls: pauses of 50, 100, ... 1600 ms, and then one region each 1.6 s.
    assert 6 <= parallel <= 6 + machine.now / threads.LONGEST_PAUSE
    machine.region_takes = 10_000
    machine.now += threads.LONGEST_PAUSE
    assert machine.calls(3) == [2] * 3
    assert threads._pause == threads.FIRST_PAUSE


def test_long_work_may_take_long(machine):
    machine.region_takes = 10_000_000
    for _ in range(3):
        threads.run(machine.kernel, (), 100_000_000)
    assert machine.pieces == [2] * 3


def run(script, *arguments, **variables):
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=dict(os.environ, **variables),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


START = """
import os, sys, threading, warnings
import numpy as np
from fastnn import ops
from fastnn.kernels import threads
threads.GRAIN = 1000
threads._num_threads = 2
x = np.ones(100_000)
"""

FORK = (
    START
    + """
if sys.argv[1] == "parallel":
    assert ops.relu(x).sum() == x.size
else:
    ops.relu(np.ones(3))
import numba
print(numba.threading_layer(), flush=True)
child = os.fork()
if child == 0:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            assert ops.relu(x).sum() == x.size
    mine = [str(w.message) for w in caught if "forked" in str(w.message)]
    print(len(mine), flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
assert ops.relu(x).sum() == x.size
sys.exit(status)
"""
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("layer", ["omp", "workqueue"])
@pytest.mark.parametrize("before", ["parallel", "serial"])
def test_forked_child_survives(layer, before):
    """GNU OpenMP ends a child that starts a region; there it runs serial and says so once."""
    done = run(FORK, before, NUMBA_THREADING_LAYER=layer)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [layer, "1" if layer == "omp" else "0"]


THREADS = (
    START
    + """
def work():
    for _ in range(100):
        assert ops.relu(x).sum() == x.size
started = [threading.Thread(target=work) for _ in range(4)]
for t in started: t.start()
for t in started: t.join()
print("done")
"""
)


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_python_threads_at_once(layer):
    """The workqueue layer aborts the process when two threads start a region."""
    done = run(THREADS, NUMBA_THREADING_LAYER=layer)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["done"]


def test_environment_variables():
    script = "import fastnn; print(fastnn.get_num_threads(), fastnn.config.get_backend())"
    done = run(script, FASTNN_NUM_THREADS="1", FASTNN_BACKEND="numpy")
    assert done.stdout.split() == ["1", "numpy"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("FASTNN_NUM_THREADS", "0", "FASTNN_NUM_THREADS: expected a whole number from 1 up"),
        ("FASTNN_NUM_THREADS", "two", "FASTNN_NUM_THREADS: expected a whole number from 1 up"),
        ("FASTNN_BACKEND", "torch", "FASTNN_BACKEND: expected one of numba, numpy, got 'torch'"),
    ],
)
def test_bad_environment_variables(name, value, message):
    done = run("import fastnn", **{name: value})
    assert done.returncode == 1
    assert message in done.stderr


def test_backend():
    assert config.get_backend() == "numba"
    with config.use_backend("numpy"):
        assert config.get_backend() == "numpy"
        with pytest.raises(ValueError, match="^backend: expected one of numba, numpy, got 'x'"):
            config.set_backend("x")
        assert config.get_backend() == "numpy"
    assert config.get_backend() == "numba"


def test_backend_is_restored_after_an_error():
    with pytest.raises(KeyError), config.use_backend("numpy"):
        raise KeyError
    assert config.get_backend() == "numba"


def test_each_backend_runs_its_own_code(monkeypatch):
    from fastnn import kernels, reference

    called = []
    monkeypatch.setattr(kernels, "relu", lambda *args: called.append("numba"))
    monkeypatch.setattr(reference, "relu", lambda *args: called.append("numpy"))
    for backend in ("numba", "numpy"):
        with config.use_backend(backend):
            ops.relu(np.ones(3))
    assert called == ["numba", "numpy"]
