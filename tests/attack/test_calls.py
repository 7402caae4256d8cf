"""The attack on calls: a slice of it, and faults that are planted for it to find."""

import contextlib
import ctypes
import time

import numba
import numpy as np
import pytest

from fastnn import config, ops, reference
from fastnn.kernels.codegen.denormals import flush_denormals, restore_denormals
from tests.attack import calls, values, workers
from tests.attack.described import arguments
from tests.attack.guarded import Slot

COMMAND = "python -m tests.attack calls"
SLICE = 500


def test_each_argument_of_each_function_has_a_generator():
    lacking = {
        name: values.without_generator(arguments(getattr(ops, name))) for name in calls.NAMES
    }
    assert not any(lacking.values()), lacking


@pytest.mark.slow
def test_a_slice():
    tally = workers.run("tests.attack.calls:case", SLICE, 0, COMMAND, processes=1)
    print(dict(tally.figures))
    assert tally.figures[calls.UNIT] == SLICE
    assert tally.figures["calls"] > 2 * SLICE
    assert not tally.failures()


# Faults. Each replaces ops.relu, or what it is compared with, by something that breaks its word.

relu = ops.relu


def writes_its_input(x, out=None):
    result = relu(x, out)
    if isinstance(x, np.ndarray) and x.size and x.flags.writeable:
        x.reshape(-1)[-1:] += 1
    return result


def writes_beside_its_output(x, out=None):
    result = relu(x, out)
    if out is not None and out.flags.c_contiguous and out.size:
        # On the side where there is no guard page.
        memory = (ctypes.c_uint8 * 1).from_address(out.ctypes.data - 1)
        with contextlib.suppress(ValueError):
            memory[0] ^= 1
    return result


def reads_past_the_end(x, out=None):
    result = relu(x, out)
    if isinstance(x, np.ndarray) and x.size and x.flags.c_contiguous:
        ctypes.string_at(x.ctypes.data + x.nbytes, 1)
    return result


def writes_what_is_there(x, out=None):
    result = relu(x, out)
    if isinstance(x, np.ndarray) and x.size and x.flags.c_contiguous:
        memory = (ctypes.c_uint8 * 1).from_address(x.ctypes.data)
        memory[0] ^= 0
    return result


def writes_before_an_error(x, out=None):
    if out is not None and out.flags.writeable and out.size:
        out[...] = 0
    return relu(x, out)


def depends_on_threads(x, out=None):
    result = relu(x, out)
    if config.get_num_threads() > 1 and config.get_backend() == "numba":
        result[...] = np.nextafter(result, np.inf)
    return result


def raises_another_error(x, out=None):
    try:
        return relu(x, out)
    except TypeError as error:
        raise AttributeError("no attribute") from error


def names_no_argument(x, out=None):
    try:
        return relu(x, out)
    except ValueError as error:
        raise ValueError("does not fit") from error


def takes_anything(x, out=None):
    return relu(np.zeros(3) if x is None or isinstance(x, str) else x, out)


def returns_a_copy(x, out=None):
    return relu(x, out).copy()


FAULTS = {
    writes_its_input: "x, an input, was written to",
    writes_before_an_error: "out was written to before an error",
    depends_on_threads: "other bits with two threads",
    raises_another_error: "a bad argument raises AttributeError",
    names_no_argument: "an error that names no argument",
    takes_anything: "is accepted",
    returns_a_copy: "out was given, and is not what is returned",
}


@pytest.fixture
def of_relu(monkeypatch):
    """Let all cases be of one function; put the number of threads back."""
    monkeypatch.setattr(calls, "NAMES", ["relu"])
    threads = config.get_num_threads()
    yield
    config.set_num_threads(threads)


def found(amount=300):
    return " ".join(workers.here(calls.case, amount, 0, COMMAND).failures())


def test_nothing_is_found_where_nothing_is_wrong(of_relu):
    assert found() == ""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(fault, of_relu, monkeypatch):
    monkeypatch.setattr(ops, "relu", fault)
    text = found()
    assert FAULTS[fault] in text
    assert f"{COMMAND} --amount 1 --seed" in text


def test_backends_that_differ_are_found(of_relu, monkeypatch):
    def relu(x, out):
        np.multiply(np.maximum(x, 0), 1 + 1e-4, out=out)

    monkeypatch.setattr(reference, "relu", relu)
    assert "backends differ" in found(40)


def test_an_input_overwritten_by_the_reference_is_found(of_relu, monkeypatch):
    def relu(x, out):
        np.maximum(x, 0, out=x)
        out[...] = x

    monkeypatch.setattr(reference, "relu", relu)
    monkeypatch.setattr(Slot, "lock", lambda slot, locked: None)  # which would end this process
    assert "x, an input, was written to" in found(40)


def test_denormal_numbers_that_stay_flushed_are_found(of_relu, monkeypatch):
    flush = numba.njit(lambda: flush_denormals())
    restore = numba.njit(lambda mode: restore_denormals(mode))
    modes = []

    def leaves_them_flushed(x, out=None):
        modes.append(flush())
        return relu(x, out)

    monkeypatch.setattr(ops, "relu", leaves_them_flushed)
    try:
        text = found(1)
    finally:
        restore(modes[0])
    assert "denormal numbers stay flushed" in text


def planted(fault):
    """Return the case of a process in which a fault is planted."""

    def case(seed, note):
        calls.NAMES[:] = ["relu"]
        ops.relu = fault
        return calls.case(seed, note)

    return case


read_outside, write_outside = planted(reads_past_the_end), planted(writes_beside_its_output)
write_mapped = planted(writes_what_is_there)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seed", "said"),
    [
        # Seeds of cases whose x lies before a guard page, whose output lies after one, before one.
        ("read_outside", 33, "SIGSEGV in relu on numba with 1 threads: x="),
        ("write_outside", 17, "SIGSEGV in relu on numba with 2 threads: x="),
        # One whose x is memory that can only be read.
        ("write_mapped", 14, "SIGSEGV in relu on numba with 1 threads: x="),
        ("write_outside", 43, "bytes around out were written to"),
    ],
)
def test_memory_of_others_that_is_touched_is_found_and_named(name, seed, said):
    case = f"tests.attack.test_calls:{name}"
    tally = workers.run(case, 1, seed, COMMAND)
    (failure,) = tally.failures()
    assert said in failure
    assert f"{COMMAND} --amount 1 --seed {seed}" in failure
    assert tally.figures["processes that ended"] == ("SIGSEGV" in said)


def stuck(seed, note):
    note("what never ends")
    time.sleep(3600)


@pytest.mark.slow
def test_a_case_that_never_ends_is_found_and_the_next_one_is_run():
    tally = workers.run("tests.attack.test_calls:stuck", 2, 5, COMMAND, processes=1, stalled=2)
    (failure,) = tally.failures()
    assert "SIGABRT in what never ends" in failure
    assert "2 times" in failure
    assert failure.endswith("--amount 1 --seed 5")
