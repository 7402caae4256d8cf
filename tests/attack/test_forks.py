"""Forks beside threads: a slice, and faults that must be found."""

import threading
import time

import pytest

from tests.attack import forks

_lock = threading.Lock()


@pytest.mark.slow
def test_a_slice():
    assert forks.attack(4, 0).failures == ()


def _locked():
    with _lock:
        time.sleep(0.05)
    return 0


def test_a_child_that_hangs_is_found(monkeypatch):
    monkeypatch.setattr(forks, "LIMIT", 0.5)
    monkeypatch.setattr(forks, "HANGS", 1)
    _, failures = forks.forks(20, 0, {"locked": _locked})
    assert "locked in a child: Timeout" in failures[0] and "test_forks.py" in failures[0]


def test_other_results_are_found():
    made = []

    def counting():
        made.append(0)
        return len(made)

    _, failures = forks.forks(2, 0, {"counting": counting})
    assert any("expected 1, got" in failure for failure in failures)
    assert failures[-1] == "counting had other results in the parent"
