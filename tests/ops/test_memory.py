"""Memory of large results: used again when nobody holds it, and only then."""

import gc
import importlib
import inspect
import pkgutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from processes import environment

import fastnn
from fastnn import ops
from fastnn.kernels.plain import table
from fastnn.kernels.threading import threads
from fastnn.ops import _memory
from fastnn.ops._memory import LARGE, Buffers

F64 = np.dtype(np.float64)
SHAPE = (LARGE // 8 // 100 + 1, 100)


@pytest.fixture
def buffers():
    return Buffers()


def place(array):
    return array.ctypes.data


def test_memory_that_nobody_holds_is_used_again(buffers):
    first = place(buffers.empty(SHAPE, F64))
    assert place(buffers.empty(SHAPE, F64)) == first


@pytest.mark.parametrize(
    "hold",
    [
        lambda a: a,
        lambda a: a[5:6],
        lambda a: a.T.reshape(-1)[::3].base,
        lambda a: memoryview(a),
        lambda a: np.frombuffer(a),
        lambda a: a.view(np.int64)[0],
    ],
    ids=["array", "rows", "base", "memoryview", "frombuffer", "other type"],
)
def test_memory_that_somebody_holds_is_not(buffers, hold):
    array = buffers.empty(SHAPE, F64)
    array[...] = 7
    held = hold(array)
    del array
    buffers.empty(SHAPE, F64)[...] = 8
    assert held is not None
    assert (np.asarray(held) != np.full(1, 8.0).view(np.asarray(held).dtype)).all()


def test_arrays_are_plain_and_begin_on_a_cache_line(buffers):
    for dtype in ("float32", "float64", "int32", "bool"):
        array = buffers.empty((3, 5, 7), np.dtype(dtype))
        assert type(array) is np.ndarray
        assert array.flags.carray
        assert array.shape == (3, 5, 7)
        assert array.dtype == dtype
        assert place(array) % 64 == 0


def test_buffers_that_nobody_uses_are_given_back(buffers, monkeypatch):
    monkeypatch.setattr(_memory, "KEPT", 3 * LARGE)
    for size in range(1, 20):  # each too large for the buffers before it
        buffers.empty((2**size * 1000,), F64)
        assert sum(buffer.size for buffer in buffers._free.values()) <= 3 * LARGE
    held = [buffers.empty((LARGE // 8,), F64) for _ in range(9)]
    held.clear()  # all at once, and nothing is asked for afterwards
    assert sum(buffer.size for buffer in buffers._free.values()) <= 3 * LARGE
    assert not buffers._used


# In a process of its own: one that was large has free memory of the C library's, which counts.
RESIDENT = """
import mmap
from pathlib import Path
import numpy as np
from fastnn.ops import _memory
from fastnn.ops._memory import LARGE, Buffers

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

_memory.KEPT, buffers = LARGE, Buffers()
before = resident()
# More than the C library may keep for itself.
array = buffers.empty((16 * LARGE,), np.dtype("uint8"))
array.fill(1)
with_array = resident()
del array
print((with_array - before) / LARGE, (resident() - before) / LARGE)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to ask for memory")
def test_memory_beyond_what_is_kept_goes_back_to_the_system():
    command = [sys.executable, "-c", RESIDENT]
    text = subprocess.run(command, check=True, capture_output=True, text=True, env=environment())
    held, kept = map(float, text.stdout.split())
    assert held > 15
    assert kept < 2


def test_memory_asked_for_while_it_is_handed_out(buffers, monkeypatch):
    """A signal handler may call a function at any place of another call."""
    make, inner = np.empty, []

    def interrupted(*args):
        monkeypatch.setattr(_memory.np, "empty", make)
        inner.append(buffers.empty(SHAPE, F64))
        return make(*args)

    monkeypatch.setattr(_memory.np, "empty", interrupted)
    outer = []
    caller = threading.Thread(target=lambda: outer.append(buffers.empty(SHAPE, F64)), daemon=True)
    caller.start()
    caller.join(30)
    assert outer, "it waits for itself"
    assert not np.shares_memory(outer[0], inner[0])


def test_memory_given_back_by_a_garbage_collection_while_it_is_handed_out(buffers):
    class Ring:
        def __init__(self, array):
            self.array, self.self = array, self

    held = [buffers.empty((1000 * 3**i,), F64) for i in range(8)]
    held.clear()
    free, pairs, thresholds = len(buffers._free), [], gc.get_threshold()
    gc.freeze()  # what was there before, or each collection would look at all of it
    try:
        for allocations in range(1, 30):  # until the collection
            gc.collect()
            gc.disable()
            Ring(buffers.empty((3,), F64))
            pairs += [(i, allocations) for i in range(3000)]  # Python keeps 2000 for later
            gc.set_threshold(gc.get_count()[0] + allocations)
            gc.enable()
            buffers.empty((3,), F64)
    finally:
        gc.set_threshold(*thresholds)
        gc.enable()
        gc.collect()
        gc.unfreeze()
    assert len(buffers._free) > free and not buffers._used


def test_there_is_no_lock_that_a_signal_handler_could_wait_for():
    """It runs in the thread that holds it; so one may be taken twice, or is never waited for."""
    for info in pkgutil.walk_packages(fastnn.__path__, "fastnn."):
        if not any(part in info.name for part in ("__main__", "with_", "hook-")):
            importlib.import_module(info.name)
    kind = type(threading.Lock())
    locks = [
        f"{name}.{key}"
        for name, module in sorted(sys.modules.items())
        if name.startswith("fastnn.")
        for key, value in vars(module).items()
        if not inspect.ismodule(value)
        for found in (value, *getattr(value, "__dict__", {}).values())
        if type(found) is kind
    ]
    never_waited_for = "fastnn.kernels.threading.threads._starting"
    assert locks == [never_waited_for]


def test_threads_wanted_while_others_are(monkeypatch):
    keep, calls = table.keep_awake, []

    def interrupted(count):
        calls.append(count)
        if len(calls) == 1:
            with threads.awake(1):
                pass
        keep(count)

    monkeypatch.setattr(table, "keep_awake", interrupted)

    def want():
        with threads.awake(1):
            pass

    caller = threading.Thread(target=want, daemon=True)
    caller.start()
    caller.join(30)
    assert not caller.is_alive(), "it waits for itself"
    assert not threads._wanted


def test_a_buffer_much_too_large_is_not_taken(buffers):
    large = place(buffers.empty((LARGE,), F64))
    assert place(buffers.empty((LARGE // 4,), F64)) != large


def test_threads_get_memory_of_their_own(buffers):
    wrong = []

    def work(number):
        for _ in range(300):
            array = buffers.empty((1000,), F64)
            array[...] = number
            if not (array == number).all():
                wrong.append(number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


def test_results_of_functions():
    x = np.random.default_rng(0).standard_normal(SHAPE)
    first = ops.relu(x)
    second = ops.relu(-x)
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, np.maximum(x, 0))
    del first
    assert np.shares_memory(ops.relu(x), ops.relu(x)) is False
