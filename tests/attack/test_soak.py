"""The soak: a slice, and faults that must be found."""

import os
import threading

import pytest

from tests.attack import small, soak


def test_a_slice():
    small.train(soak._NETWORK, 1)
    jobs = {name: soak.JOBS[name] for name in ("program", "predict 1", "predict 60", "file")}
    figures, failures = soak.watched(jobs, 1.0, 4, 0)
    assert failures == []
    assert figures["jobs"] > 0


def _leaking_descriptors():
    for _ in range(3):
        os.dup(0)


def _leaking_threads():
    threading.Thread(target=threading.Event().wait, args=(2,), daemon=True).start()


_kept = []


def _leaking_memory():
    _kept.append(bytearray(b"x" * (1 << 20)))


def _changing(made=[]):  # noqa: B006
    made.append(0)
    return len(made)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (_leaking_descriptors, "more file descriptors"),
        (_leaking_threads, "more threads"),
        (_leaking_memory, "more bytes of memory"),
        (_changing, "expected 1, got"),
    ],
)
def test_planted_faults_are_found(job, message):
    calls = iter(range(300))

    def limited():
        if next(calls, None) is not None:
            threading.Event().wait(0.005)
            return job()
        return None

    before = {*os.listdir("/proc/self/fd")}
    _, failures = soak.watched({"job": limited}, 0.8, 2, 0)
    for number in {*os.listdir("/proc/self/fd")} - before:
        try:
            os.close(int(number))
        except OSError:  # the folder's own
            continue
    _kept.clear()
    assert any(message in failure for failure in failures)
