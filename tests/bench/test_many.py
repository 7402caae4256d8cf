"""The family that times networks trained at the same time: what is compared, and its table."""

from contextlib import ExitStack

import numpy as np
import pytest

from fastnn._bench import peers
from fastnn._bench.families import many
from fastnn._bench.settings import Settings
from fastnn._bench.training.problem import problem
from fastnn._bench.training.spec import NotMeasuredError, Spec


def test_all_ways_train_the_same_networks(monkeypatch):
    trained = []
    networks = many._networks
    monkeypatch.setattr(
        many, "_networks", lambda *given: trained.append(networks(*given)) or trained[-1]
    )
    (given,) = problem(Spec((20, 5, 3), many.BATCH, "SGD"), 2, 0.1, 2)
    many._together(given, 2)()
    many._one_by_one(given, 2, 1)()
    many._one_by_one(given, 2, None)()
    together, *others = trained
    for found in others:
        for a, b in zip(together, found, strict=True):
            np.testing.assert_array_equal(a.params["W1"], b.params["W1"])
    assert not np.array_equal(together[0].params["W1"], given.spec.initial()["W1"])


def test_threads_of_torch_train():
    pytest.importorskip("torch")
    (given,) = problem(Spec((20, 5, 3), many.BATCH, "SGD"), 2, 0.1, 1)
    with ExitStack() as stack:
        assert many._threads_of_torch(given, 2, stack)() == [None, None]


def test_one_thread_is_not_measured():
    libraries = {"fastnn": peers.load()["fastnn"]}
    settings = Settings(["many"], "float32", 1, True)
    for case in many.cases("float32"):
        if case.label != "memory":
            with pytest.raises(NotMeasuredError, match="two threads"):
                many.measure("many", case, libraries, settings)


def test_the_memory_of_a_network(capsys):
    many.report_memory("float32")
    assert '"own": 305' in capsys.readouterr().out  # 3 x (785 x 32 + 33 x 10) x 4 bytes


def test_a_row_says_times_ratios_and_whether_limits_hold():
    seconds = {name: {"minimum": 0.01} for name in ("fastnn", many.ONE_BY_ONE)}
    common = {"case": "", "shape": "784-32-10"}
    rows = many.table(
        [
            {**common, "seconds": seconds, "ratios": {many.ONE_BY_ONE: 1.95}, "measured": 1.95,
             "limit": 1.9, "holds": True},
            {**common, "added": 6e5, "own": 3e5, "measured": 2.0, "limit": 1.5, "holds": False},
        ]
    )  # fmt: skip
    assert rows[1][2:5] == ["10.0", "10.0 (1.95x)", "-"]
    assert rows[1][-2:] == ["1.95x, at least 1.9x", "holds"]
    assert rows[2][2] == "600 KB of 300"
    assert rows[2][-2:] == ["2.00x, at most 1.5x", "missed"]
    assert rows[3][0] == "1 of 2 hold"
