"""Ctrl-C and forks while kernels are compiled: see :mod:`fastnn.kernels.codegen.lock`."""

import math
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from numba.core import event
from numba.core.compiler_lock import global_compiler_lock
from procedures import call, procedure_of
from processes import environment

from fastnn import MultiLayerNet, ops
from fastnn.kernels.codegen import lock

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")


class Interrupts(event.Listener):
    """Sends Ctrl-C, once, when Numba tells of the n-th event."""

    def __init__(self, n):
        self.left = n

    def on_start(self, event):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)

    def on_end(self, event):
        pass


def interrupted(n, kind="numba:compiler_lock"):
    return event.install_listener(kind, Interrupts(n))


def kernel():
    """Return a kernel that was not compiled before."""

    def rows(n):
        total = 0.0
        for i in range(n):
            total += math.exp(i * 0.0)
        return int(total)

    return procedure_of(rows)


N, X = 12, np.zeros((3, 4))


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("kind", ["numba:compiler_lock", "numba:llvm_lock"])
def test_ctrl_c_ends_compiling_wherever_it_comes(kind):
    """LLVM's events come from all of what Numba does, its callbacks included."""
    # None is lost and none breaks anything; what was left is compiled at the next call.
    compiled, n, came = kernel(), 1, 0
    while not compiled.overloads:
        try:
            with interrupted(n, kind):
                call(compiled, N)
        except KeyboardInterrupt:
            came += 1
        n = 3 * n
    assert came > 1
    assert call(compiled, N) == N


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_comes_before_all_is_compiled():
    compiled = kernel()
    with pytest.raises(KeyboardInterrupt), interrupted(1):
        call(compiled, N)
    assert not compiled.overloads


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_comes_through_while_another_thread_compiles():
    held, waits, over = (threading.Event() for _ in range(3))

    class Waits(Interrupts):
        def on_start(self, event):
            waits.set()

    def other():
        with global_compiler_lock:
            held.set()
            assert waits.wait(60)
            signal.raise_signal(signal.SIGINT)  # in the main thread
            assert over.wait(60)

    compiled, thread = kernel(), threading.Thread(target=other)
    thread.start()
    assert held.wait(60)
    with pytest.raises(KeyboardInterrupt), event.install_listener("numba:compiler_lock", Waits(0)):
        call(compiled, N)
    over.set()
    thread.join()
    assert not compiled.overloads
    assert call(compiled, N) == N


class Halves:
    """An optimizer that compiles between the halves of an update."""

    def __init__(self):
        self.compiled = kernel()

    def update(self, params, grads):
        params["W1"] -= 1.0
        call(self.compiled, N)
        params["W2"] -= 1.0


@pytest.mark.usefixtures("ctrl_c")
def test_a_step_that_compiles_is_whole_or_was_not_taken():
    network = MultiLayerNet(4, [3], 2, seed=0)
    x, t = np.ones((4, 4)), np.zeros(4, int)
    before = {key: p.copy() for key, p in network.params.items()}
    network.fit(x, t, 1, 4, Halves(), verbose=False)  # compiles what layers need
    network.params["W1"][:], network.params["W2"][:] = before["W1"], before["W2"]
    with pytest.raises(KeyboardInterrupt), interrupted(1):
        network.fit(x, t, 1, 4, Halves(), verbose=False)
    for key in ("W1", "W2"):
        np.testing.assert_array_equal(network.params[key], before[key] - 1.0)


# --- forks --------------------------------------------------------------------------------

# A thread compiles one function after another; the process forks in the middle of it, and the
# child calls kernels: loaded ones, on two threads, and others.
FORKS = """
import ctypes, os, signal, sys, threading
import numba, numpy as np
from numba.core import event
from fastnn import ops, set_num_threads
from fastnn.kernels.codegen.compile import address, procedure
from fastnn.kernels.threading import threads

threads._available = 2
set_num_threads(2)
threads.prepare()
x = np.full((1000, 1000), -1.0, np.float32)
ops.relu(x)
inside, over = threading.Event(), False

class Listener(event.Listener):
    def on_start(self, event):
        inside.set()
    def on_end(self, event):
        pass

def compile_others():
    while not over:
        def f(x):
            return x + 1
        numba.njit(f)(1)

event.register("numba:run_pass", Listener())
thread = threading.Thread(target=compile_others)
thread.start()
failed = 0
for _ in range(int(sys.argv[1])):
    inside.clear()
    inside.wait()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        good = not ops.relu(x).any()
        def g(x):
            return x + 2
        kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
        good = good and kind(address(procedure(g)))(1) == 3
        os._exit(0 if good else 1)
    failed += os.waitpid(child, 0)[1] != 0
over = True
thread.join()
assert not failed, failed
"""


@forks
@pytest.mark.slow
def test_forks_while_a_thread_compiles():
    command = [sys.executable, "-W", "ignore", "-c", FORKS, "5"]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr


def in_child(test):
    """Return whether a function returns true in a forked child."""
    child = os.fork()
    if not child:
        try:
            os._exit(not test())
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


def is_free():
    return all(each.acquire(timeout=0) for each in lock.LOCKS)


@pytest.fixture
def holder():
    """Have another thread hold Numba's lock until the test ends."""
    ops.relu(X)  # is loaded before
    held, over = threading.Event(), threading.Event()

    def hold():
        with global_compiler_lock:
            held.set()
            assert over.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    yield
    over.set()
    thread.join()


@forks
@pytest.mark.usefixtures("holder")
def test_a_fork_waits_no_longer_than_it_may(monkeypatch):
    monkeypatch.setattr(lock, "LONGEST", 0.01)
    assert in_child(lambda: is_free() and not ops.relu(X).any())
    assert not lock.LOCKS[0].acquire(timeout=0)  # it still is the other thread's


@forks
def test_a_fork_leaves_locks_as_they_were():
    assert in_child(is_free)
    found = []

    def try_locks():
        found.append(is_free())
        for each in lock.LOCKS:
            each.release()

    thread = threading.Thread(target=try_locks)
    thread.start()
    thread.join()
    assert found == [True]
    with global_compiler_lock:  # as a fork from within a compilation
        assert in_child(lambda: lock.LOCKS[0]._is_owned())
        assert lock.LOCKS[0]._is_owned()


class Interrupted:
    """A lock that comes with Ctrl-C, or that another thread has at that moment."""

    def __init__(self, is_free):
        self.is_free, self.depth = is_free, 0

    def acquire(self, timeout):
        signal.raise_signal(signal.SIGINT)
        self.depth += self.is_free
        return self.is_free

    def release(self):
        self.depth -= 1

    def _at_fork_reinit(self):
        self.depth = 0


class Late(threading.Thread):
    """One that runs before the thread that starts it goes on, as on a busy machine."""

    def start(self):
        super().start()
        time.sleep(3 * lock.AFTER)


@forks
@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("is_free", [True, False])
def test_ctrl_c_is_not_lost_while_a_fork_waits(is_free, monkeypatch):
    held = Interrupted(is_free)
    monkeypatch.setattr(lock, "LOCKS", [held])
    monkeypatch.setattr(lock.threading, "Thread", Late)
    with pytest.raises(KeyboardInterrupt):  # Python passes over what a hook raises
        assert in_child(lambda: held.depth == 0)
        threading.Event().wait(30)
    assert held.depth == 0, "nobody else will ever compile"
