"""The choice between one thread and several, and who may call from where."""

import multiprocessing
import os
import subprocess
import sys

import joblib
import numba
import numpy as np
import pytest

from fastnn import config, get_num_threads, ops, set_num_threads
from fastnn.kernels.codegen import atomics
from fastnn.kernels.codegen.compile import OPTIONS
from fastnn.kernels.plain import table
from fastnn.kernels.threading import threads
from fastnn.kernels.threading.driver import kernel


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
    with pytest.raises(ValueError, match="^n: expected an integer of at least 1, got "):
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
    """A clock, and a kernel whose shared calls take as long as the test says."""

    def __init__(self):
        self.now = 0
        self.shared_takes = 10_000
        self.pieces = []

    def perf_counter_ns(self):
        return self.now

    def kernel(self, pieces):
        self.pieces.append(pieces)
        self.now += self.shared_takes if pieces > 1 else 100_000

    def calls(self, n, work=4 * threads.GRAIN):
        self.pieces.clear()
        for _ in range(n):
            threads.run(self.kernel, (), work)
        return self.pieces


@pytest.fixture
def machine(monkeypatch):
    made = Machine()
    monkeypatch.setattr(threads, "time", made)
    monkeypatch.setattr(threads, "_num_threads", 2)
    monkeypatch.setattr(threads, "wake", lambda helpers: None)
    monkeypatch.setattr(threads, "_serial_until", 0)
    monkeypatch.setattr(threads, "_fastest", {})
    monkeypatch.setattr(threads, "_lost", 0)
    return made


def test_calls_are_shared_while_they_are_in_time(machine):
    assert machine.calls(1000) == [2] * 1000


def test_late_call_makes_the_next_ones_serial_for_a_while(machine):
    machine.calls(1)
    machine.shared_takes = 3_000_000
    assert machine.calls(4) == [2, 1, 1, 1]
    machine.now += threads.REST * 3_000_000
    machine.shared_takes = 10_000
    assert machine.calls(4) == [2] * 4


def test_what_was_gained_may_be_lost(machine):
    """One call that is late among many that gain costs less than to share none for a while."""
    gain = 10_000  # two threads take 10 us, one alone twice that
    machine.calls(1 + (3_000_000 - threads.LATE) // gain)
    machine.shared_takes = 3_000_000
    assert machine.calls(1) == [2]
    machine.shared_takes = 10_000
    assert machine.calls(100) == [2] * 100


def test_credit_is_bounded(machine):
    machine.calls(10 * threads.CREDIT // 10_000)
    machine.shared_takes = threads.CREDIT + 2 * threads.LATE
    assert machine.calls(2) == [2, 1]


def test_little_time_is_lost(machine):
    """Where every other shared call is late, nearly all calls are serial."""
    lost = 0
    for i in range(20_001):
        late = i % 2 == 1
        machine.shared_takes = threads.LONGEST_SERIAL // threads.REST if late else 10_000
        if machine.calls(1) == [2] and late:
            lost += machine.shared_takes
    assert 0 < lost <= 1.2 * machine.now / threads.REST


def test_rest_is_bounded(machine):
    """A process that was stopped for an hour does not rest for a second."""
    machine.calls(1)
    machine.shared_takes = 3600 * 10**9
    machine.calls(1)
    machine.now += threads.LONGEST_SERIAL
    machine.shared_takes = 10_000
    assert machine.calls(3) == [2] * 3


def test_slow_calls_that_gain_are_shared(machine):
    """A helper at half speed is better than none: the call takes less than on one thread."""
    machine.shared_takes = 20_000_000
    machine.calls(1)
    machine.shared_takes = 30_000_000
    assert machine.calls(100) == [machine.pieces[0]] * 100
    assert machine.pieces[0] > 2


def test_long_calls_are_cut_into_pieces_of_their_expected_time(machine):
    work = 4 * threads.GRAIN
    assert machine.calls(1, work) == [2]  # by its work it takes 26 us
    machine.shared_takes = 10 * threads.PIECE
    assert machine.calls(2, work + 1) == [2, 20]  # by what the first has taken
    estimated = 2 * 4 * threads.PIECE * threads.ELEMENTS_PER_NS
    assert machine.calls(1, estimated) == [8]
    assert machine.calls(1, 10**18) == [table.MOST_CHUNKS]


def test_pieces_are_as_many_as_threads_or_a_multiple(monkeypatch, machine):
    monkeypatch.setattr(threads, "_num_threads", 3)
    machine.shared_takes = threads.PIECE
    machine.calls(1)
    assert machine.calls(1) == [3]
    machine.shared_takes = threads.PIECE + 1
    assert machine.calls(2, 5 * threads.GRAIN) == [3, 6]


def test_machine_that_is_slower_for_good_is_found_out(machine):
    machine.calls(1)
    machine.shared_takes = 5_000_000
    machine.calls(100_000)
    assert 1 not in machine.calls(1000)


def test_long_calls_may_take_long(machine):
    """Each kind of call is compared with its own kind."""
    machine.calls(10)
    machine.shared_takes = 50_000_000
    assert 1 not in machine.calls(3, work=10**9)
    machine.shared_takes = 10_000
    assert machine.calls(3) == [2] * 3


def test_kinds_of_calls_are_forgotten(machine):
    for work in range(3 * threads.MOST_KINDS):
        machine.calls(1, 4 * threads.GRAIN + work)
    assert len(threads._fastest) <= threads.MOST_KINDS


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
import atexit, os, sys, threading, time
import numpy as np
from fastnn import ops
from fastnn.kernels.plain import table
from fastnn.kernels.threading import threads

threads._available = 4
threads.set_num_threads(3)
threads.GRAIN = 1000
threads.LATE = 10**12  # no call counts as late: all are shared
x = np.linspace(-3, 3, 100_000)
y = ops.tanh(x)


def check(times=1):
    for _ in range(times):
        assert (ops.tanh(x) == y).all()
"""

# The parent's threads do not exist in the child, and one of them may have been in a call.
FORK = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
others = [threading.Thread(target=check, args=(2000,)) for _ in range(int(sys.argv[1]))]
for thread in others: thread.start()
for _ in range(10):
    child = os.fork()
    if child == 0:
        assert threads._helpers == []
        ticket = table.words[table.TICKET // 8]
        check(10)
        assert len(threads._helpers) == 2
        assert table.words[table.TICKET // 8] > ticket, "no call was shared"
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0
    check()
for thread in others: thread.join()
"""

# A helper that compiled for itself would leave the compiler's lock taken in a forked child.
PREPARED = """
import threading
from fastnn.kernels.machine import native
start, compiled = threading.Thread.start, []

def take_note(self):
    compiled.append(native.function.cache_info().currsize)
    start(self)

threading.Thread.start = take_note
"""

PYTHON_THREADS = """
started = [threading.Thread(target=check, args=(200,)) for _ in range(4)]
for thread in started: thread.start()
for thread in started: thread.join()
"""

# Threads that are not Python's, in a parallel region of another library's pool.
OTHER_POOL = """
import numba

@numba.njit(parallel=True)
def region():
    for i in numba.prange(8):
        with numba.objmode():
            check(10)

region()
assert numba.threading_layer() == os.environ["NUMBA_THREADING_LAYER"]
"""

IDLE = """
check(10)
time.sleep(0.1)
before = time.process_time()
time.sleep(0.5)
assert time.process_time() - before < 0.05, "a helper spins while there is nothing to do"
check()
"""

# Helpers that leave the compiled code while the interpreter ends could bring it down. What is
# registered first runs last.
EXIT = """
check()
started = list(threads._helpers)
assert len(started) == 2 and all(helper.is_alive() for helper in started)
atexit._run_exitfuncs()
assert not any(helper.is_alive() for helper in started)
check()
assert threads._helpers == started
"""

# As where the number of processes is limited.
NO_THREADS = """
def refuse(self):
    raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
threads.set_num_threads(4)
check(3)
assert len(threads._helpers) == 2
"""


def works(script, *arguments, **variables):
    done = run(START + script, *arguments, **variables)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("others", [0, 2])
def test_forked_child_has_helpers_of_its_own(others):
    works(FORK, str(others))


@pytest.mark.slow
def test_python_threads_at_once():
    works(PYTHON_THREADS)


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_inside_a_region_of_another_pool(layer):
    if layer == "omp":
        pytest.importorskip("numba.np.ufunc.omppool", reason="Numba has no OpenMP here")
    works(OTHER_POOL, NUMBA_THREADING_LAYER=layer)


@pytest.mark.slow
def test_helpers_sleep_when_there_is_nothing_to_do():
    works(IDLE)


@pytest.mark.slow
def test_helpers_end_before_the_interpreter():
    works(EXIT)


@pytest.mark.slow
def test_system_that_starts_no_threads():
    works(NO_THREADS)


@pytest.mark.slow
def test_helpers_find_their_code_compiled():
    done = run(PREPARED + START + "assert compiled == [1, 1], compiled")
    assert (done.returncode, done.stderr) == (0, "")


def _tanh_on_two_threads(x):
    threads._available = 4
    set_num_threads(2)
    return ops.tanh(x)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["spawn", "loky"])
def test_worker_processes(kind):
    x = np.linspace(-3, 3, 1_000_000)
    if kind == "loky":
        results = joblib.Parallel(n_jobs=2)(joblib.delayed(_tanh_on_two_threads)(x) for _ in "ab")
    else:
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            results = pool.map(_tanh_on_two_threads, [x, x])
    for result in results:
        np.testing.assert_array_equal(result, ops.tanh(x))


@kernel("met.size")
def meet_all(met, looks, start, stop):
    """Each chunk waits for a while until another one is under way too."""
    for i in range(start, stop):
        met[i] = 1
        for _ in range(looks):
            atomics.give_way()
            if atomics.load(met.ctypes.data + 8 * (1 - i)) != 0:
                met[i] = 2
                break


@numba.njit(**OPTIONS)  # drivers are called by compiled code
def meet(met, looks, chunks):
    meet_all(met, looks, chunks)


def test_helpers_take_part(monkeypatch):
    monkeypatch.setattr(threads, "_available", 2)
    set_num_threads(2)
    meet(np.zeros(0, np.int64), 1, 1)  # compiles
    met = np.zeros(2, np.int64)
    threads.wake(1)
    meet(met, 3_000_000, 2)
    np.testing.assert_array_equal(met, 2)


@pytest.mark.slow
def test_helpers_beyond_the_number_of_threads_take_no_part(monkeypatch):
    monkeypatch.setattr(threads, "_available", 2)
    set_num_threads(2)
    meet(np.zeros(0, np.int64), 1, 1)
    threads.wake(1)
    set_num_threads(1)
    met = np.zeros(2, np.int64)
    meet(met, 30_000, 2)  # each look may let another process run
    np.testing.assert_array_equal(met, [1, 2])


@pytest.mark.slow
def test_environment_variables():
    script = "import fastnn; print(fastnn.get_num_threads(), fastnn.config.get_backend())"
    done = run(script, FASTNN_NUM_THREADS="1", FASTNN_BACKEND="numpy")
    assert done.stdout.split() == ["1", "numpy"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("FASTNN_NUM_THREADS", "0", "FASTNN_NUM_THREADS: expected an integer of at least 1"),
        ("FASTNN_NUM_THREADS", "two", "FASTNN_NUM_THREADS: expected an integer of at least 1"),
        ("FASTNN_BACKEND", "torch", "FASTNN_BACKEND: expected one of numba, numpy, got 'torch'"),
    ],
)
def test_bad_environment_variables(name, value, message):
    done = run("from fastnn import ops", **{name: value})
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
    from fastnn import reference
    from fastnn.kernels.calls.routine import Routine, routine

    called = []
    monkeypatch.setattr(Routine, "run", lambda self, *args: called.append("numba"))
    monkeypatch.setattr(reference, "relu", lambda *args: called.append("numpy"))
    assert isinstance(routine("relu"), Routine)
    for backend in ("numba", "numpy"):
        with config.use_backend(backend):
            ops.relu([1.0, 2.0])  # a list is no array: not at once
    assert called == ["numba", "numpy"]
