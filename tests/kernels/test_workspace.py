"""The memory that kernels pack into: whose it is, and how long it is kept."""

import threading

import numpy as np

from fastnn import ops
from fastnn.kernels.gemm import workspace

F = np.dtype(np.float32)


def test_is_kept_for_the_next_call():
    first = workspace.take(1000, F)
    workspace.give_back(first)
    assert workspace.take(1000, F) is first


def test_is_kept_for_its_dtype_alone():
    workspace.give_back(np.empty(1000, F))
    assert workspace.take(10, np.dtype(np.float64)).dtype == np.float64


def test_grows():
    workspace.give_back(np.empty(10, F))
    assert workspace.take(1000, F).size >= 1000


def test_one_taken_inside_another_is_apart():
    """As when a signal handler interrupts a call."""
    workspace.give_back(np.empty(10, F))
    outer, inner = workspace.take(10, F), workspace.take(10, F)
    assert not np.shares_memory(outer, inner)


def test_other_threads_have_their_own():
    mine = np.empty(1000, F)
    workspace.give_back(mine)
    others = []
    thread = threading.Thread(target=lambda: others.append(workspace.take(1000, F)))
    thread.start()
    thread.join()
    assert others[0] is not mine


def test_a_large_one_is_not_kept(monkeypatch):
    monkeypatch.setattr(workspace, "KEPT", 100)
    large = np.empty(1000, F)
    workspace.give_back(large)
    assert workspace.take(1000, F) is not large


def test_a_backward_pass_gives_it_back():
    dout, x, W = np.ones((40, 50), F), np.ones((40, 60), F), np.ones((60, 50), F)
    ops.affine_backward(dout, x, W)
    before = workspace.take(1, F)
    workspace.give_back(before)
    results = ops.affine_backward(dout, x, W)
    after = workspace.take(1, F)
    assert after is before
    assert not any(np.shares_memory(after, array) for array in (dout, x, W, *results))
