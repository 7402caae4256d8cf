"""Memory of large results: used again when nobody holds it, and only then."""

import sys
import threading

import numpy as np
import pytest

from fastnn import ops
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
    free = sum(buffer.size for buffer in buffers._buffers[:-1])
    assert free <= 3 * LARGE


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
