"""How many threads kernels may use, in all of the process and inside a block."""

import threading

import numpy as np
import pytest

import fastnn
from fastnn import config, ops
from fastnn.kernels.threading import threads


@pytest.fixture
def of_four(monkeypatch):
    """Let there be four threads, whatever the machine has."""
    monkeypatch.setattr(threads, "_available", 4)
    monkeypatch.setattr(threads, "_num_threads", 4)


def test_limits_hold_inside_their_block(of_four):
    with config.limit_num_threads(3):
        assert fastnn.get_num_threads() == 3
        with config.limit_num_threads(2):
            assert fastnn.get_num_threads() == 2
            with config.limit_num_threads(4), config.limit_num_threads(None):  # the lower one holds
                assert fastnn.get_num_threads() == 2
        assert fastnn.get_num_threads() == 3
    with pytest.raises(RuntimeError, match="on purpose"), config.limit_num_threads(1):
        raise RuntimeError("on purpose")
    assert fastnn.get_num_threads() == 4


def test_limits_above_the_number_of_all_change_nothing(of_four):
    with config.limit_num_threads(64):
        assert config.get_num_threads() == 4


def test_limits_are_those_of_a_python_thread(of_four):
    found = []
    with config.limit_num_threads(1):
        other = threading.Thread(target=lambda: found.append(config.get_num_threads()))
        other.start()
        other.join()
    assert found == [4]


@pytest.mark.parametrize("n", [0, -1, 1.5, "2"])
def test_limits_are_checked(n):
    expected = pytest.raises((TypeError, ValueError), match="n: expected an integer")
    with expected, config.limit_num_threads(n):
        pass


@pytest.mark.parametrize("n", [1, 3])
def test_calls_are_cut_into_so_many_pieces(of_four, monkeypatch, n):
    """With another number of threads a result has the same bits."""
    rng = np.random.default_rng(0)
    x, W, b = rng.normal(size=(300, 200)), rng.normal(size=(200, 100)), rng.normal(size=100)
    expected = ops.affine(x, W, b)
    woken = []
    monkeypatch.setattr(threads, "wake", woken.append)
    with config.limit_num_threads(n):
        np.testing.assert_array_equal(ops.affine(x, W, b), expected)
        long = rng.normal(size=(2, threads.GRAIN, 2))
        np.testing.assert_array_equal(ops.relu(long), np.maximum(long, 0))
    assert woken == [n - 1, n - 1]
