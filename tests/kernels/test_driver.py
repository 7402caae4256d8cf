"""What the driver adds to a serial function: the cut, the denormal mode, compile options."""

import re
from pathlib import Path

import numba
import numpy as np
import pytest

from fastnn import get_num_threads, kernels, set_num_threads
from fastnn.kernels.codegen.compile import OPTIONS
from fastnn.kernels.codegen.denormals import flush_denormals, restore_denormals
from fastnn.kernels.plain.table import LINE
from fastnn.kernels.threading import pool
from fastnn.kernels.threading.driver import kernel

SOURCES = sorted(Path(kernels.__file__).parent.rglob("*.py"))


@kernel("out.size")
def count_all(out, start, stop):
    for i in range(start, stop):
        out[i] += 1


@kernel("out.size", 8)
def mark_all(out, start, stop):
    for i in range(start, stop):
        out[i] = start


@kernel("x.size", LINE)
def halve_all(x, out, start, stop):
    half = x.dtype.type(0.5)
    for i in range(start, stop):
        out[i] = x[i] * half


@kernel("out.size", told=True)
def name_all(out, thread, start, stop):
    for i in range(start, stop):
        out[i] = thread


@kernel("out.size")
def shadow_all(out, step, start, stop):
    """Has an argument with a name that a driver might use for itself."""
    for i in range(start, stop):
        out[i] = step


def test_a_driver_is_not_called_from_python():
    """It has no code for that, and the process would end."""
    x = np.ones(3)
    with pytest.raises(TypeError, match=r"count_all: expected a call by compiled code; .*py_func"):
        count_all(x, 1)
    assert (x == 1).all()


# Drivers are called by compiled code.


@numba.njit(**OPTIONS)
def count(out, chunks):
    count_all(out, chunks)


@numba.njit(**OPTIONS)
def mark(out, chunks):
    mark_all(out, chunks)


@numba.njit(**OPTIONS)
def halve(x, out, chunks):
    mode = flush_denormals()  # as what takes the arguments of each kernel does
    halve_all(x, out, chunks)
    restore_denormals(mode)


@numba.njit(**OPTIONS)
def name(out, chunks):
    threads = pool.workers(chunks)
    name_all(out, chunks, threads)
    return threads


@numba.njit(**OPTIONS)
def shadow(out, step, chunks):
    shadow_all(out, step, chunks)


@pytest.mark.slow
@pytest.mark.parametrize("n", [0, 1, 2, 7, 64, 65, 1000])
@pytest.mark.parametrize("chunks", [1, 2, 3, 5, 64, 0xFFFF, 0x10000])
def test_every_element_belongs_to_one_chunk(n, chunks):
    out = np.zeros(n)
    count(out, chunks)
    np.testing.assert_array_equal(out, 1)


@pytest.mark.parametrize("chunks", [2, 3, 5])
def test_chunks_begin_at_multiples_of_the_unit(chunks):
    out = np.full(100, -1.0)
    mark(out, chunks)
    assert len(np.unique(out)) > 1
    assert (np.unique(out) % 8 == 0).all()


@pytest.mark.parametrize("chunks", [1, 2, 3, 64, 1000])
def test_a_chunk_is_told_a_thread_that_there_is_memory_for(chunks):
    before = get_num_threads()
    set_num_threads(2)
    try:
        out = np.full(1000, -1)
        threads = name(out, chunks)
        assert 1 <= threads <= min(chunks, get_num_threads())
    finally:
        set_num_threads(before)
    assert out.min() == 0 or chunks > 1  # one chunk is the caller's
    assert 0 <= out.min() <= out.max() < threads


def test_arguments_keep_their_values_in_every_chunk():
    out = np.zeros(10)
    shadow(out, 7, 3)
    np.testing.assert_array_equal(out, 7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("chunks", [1, 2, 5])
def test_denormals_are_flushed_inside_and_kept_outside(dtype, chunks):
    tiny = np.finfo(dtype).tiny
    x = np.full(1000, tiny, dtype)
    out = np.full_like(x, 1)
    halve(x, out, chunks)
    np.testing.assert_array_equal(out, 0)
    denormal = x * np.array(0.5, dtype)
    assert (denormal > 0).all(), "the caller's mode was changed"
    halve(denormal * 2, out, chunks)
    np.testing.assert_array_equal(out, 0)


def test_no_source_uses_a_flag_that_ignores_nan():
    found = [
        f"{path.name}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.search(r"fastmath\s*=\s*True|[\"']fastmath[\"']:\s*True", line)
        or (re.search(r"[\"'](nnan|ninf|fast|arcp|afn)[\"']", line) and not line.startswith("#"))
    ]
    assert found == []


def test_no_compiled_function_outside_the_one_place_for_options():
    found = [
        path.name
        for path in SOURCES
        if path.name not in ("compile.py", "elementary.py") and "njit" in path.read_text()
    ]
    assert found == []
