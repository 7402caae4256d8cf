"""What examples print of times follows from the rounds; a clock and a machine of our own."""

import math
import sys

import pytest

from fastnn._bench.timing import Clock


@pytest.fixture
def timing(example):
    return example("_timing.py")


class Time:
    """Time that passes only where something is done."""

    def __init__(self):
        self.now = 0.0

    def clock(self):
        return Clock(now=lambda: self.now, sleep=self.pass_, cpu=lambda: 0.0)

    def pass_(self, seconds):
        self.now += seconds

    def turn(self, *seconds):
        """Return a function that takes so long at each call, and the last time from then on."""
        left = list(seconds)

        def turn():
            taken = left.pop(0) if len(left) > 1 else left[0]
            self.pass_(taken)
            return taken

        return turn


def test_ways_take_turns_and_begin_in_turn(timing):
    calls = []
    turns = {name: lambda name=name: calls.append(name) or 1.0 for name in "ab"}
    times = timing.in_turns(turns, 3, clock=Time().clock())
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(taken) for name, taken in times.samples.items()} == {"a": 3, "b": 3}


@pytest.mark.parametrize(
    "seconds, rounds", [(math.inf, 20), (9.5, 10), (0.5, 3)], ids=["all", "in time", "at least"]
)
def test_no_round_begins_when_time_is_up(timing, seconds, rounds):
    time = Time()
    # A round takes a second, with what it waits between turns.
    turns = {"a": time.turn(0.5), "b": time.turn(0.48)}
    times = timing.in_turns(turns, 20, seconds, clock=time.clock())
    assert len(times.samples["a"]) == len(times.samples["b"]) == rounds


@pytest.mark.parametrize(
    "one, two, best", [((3, 1, 1), (2, 2, 2), 1), ((2, 2, 9), (3, 1, 1), 2)], ids=["one", "all"]
)
def test_the_faster_number_of_threads_is_taken(timing, one, two, best):
    """By the median: a first round that is slow decides nothing."""
    time = Time()
    turns = {1: time.turn(*one), 2: time.turn(*two)}
    found = timing.best_threads(lambda n: turns[n](), [1, 2], 30, clock=time.clock())
    assert found.threads == best
    assert found.time == min(found.seconds.values())


def test_a_trial_of_threads_ends_in_time(timing):
    time = Time()
    turns = {1: time.turn(1.0), 2: time.turn(60.0)}
    assert timing.best_threads(lambda n: turns[n](), [1, 2], 1, clock=time.clock()).threads == 1
    assert time.now < 2 * 61 + 1  # two rounds


@pytest.mark.parametrize("choices, threads", [([], None), ([1], 1)])
def test_where_there_is_no_choice_of_threads(timing, choices, threads):
    found = timing.best_threads(lambda n: 0.25, choices, 1, clock=Time().clock())
    assert (found.threads, found.time) == (threads, 0.25)


def test_threads_of_numpys_blas(timing, monkeypatch):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    import fastnn

    blas = timing.Blas()
    assert blas.choices in ([1], sorted({1, fastnn.get_num_threads()}))

    def now():
        pools = threadpoolctl.threadpool_info()
        return {pool["num_threads"] for pool in pools if pool["user_api"] == "blas"}

    for choices, said in (
        ([], "its own number"),
        ([1], "1 thread"),
        ([1, 4], "1 or 4 threads, which"),
    ):
        monkeypatch.setattr(blas, "choices", choices)
        assert str(blas).startswith(said)
    monkeypatch.undo()
    before = now()
    for number in blas.choices:
        with blas.threads(number):
            assert now() == {number}
    with blas.threads(None):
        assert now() == before
    assert now() == before


def test_without_threadpoolctl(timing, monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with pytest.raises(SystemExit, match="pip install threadpoolctl"):
        timing.Blas()


def test_spread_of_rounds(timing):
    spread = timing.Spread([2.0, 4.0, 3.0, 12.5])
    assert str(spread).split() == ["3.50x", "2.00-12.50"]
    assert not timing.Spread([3.0]).apart()
    # One round that something held up is no disagreement; a half of them are.
    assert not timing.Spread([3, 3, 3, 3.1, 3.2, 3.3, 59]).apart()
    assert timing.Spread([3, 3, 3, 3.1, 11, 20, 59]).apart()


def machine(timing, others=0.0, load=0.5, told=True, cpus=2, threads=2):
    """Return a watch over 10 s in which this process works for 15 s of CPU time."""
    readings = iter([(100.0, 20.0, 500.0), (110.0, 35.0, 515.0 + 10 * others)])

    def read():
        wall, own, everyone = next(readings)
        return timing.Reading(wall, own, everyone if told else None, load)

    return timing.Watch(read, cpus, threads)


def test_an_idle_machine_is_not_called_busy(timing):
    agreeing = {"SGD": timing.Spread([3.0, 3.1, 3.2])}
    for settings in (
        {},
        {"load": 9.0},  # of the minute before: the CPUs tell of now
        {"told": False, "load": 2.0},  # our own
        {"told": False, "load": None},
        {"cpus": 64, "others": 50.0},  # there are CPUs enough
    ):
        assert machine(timing, **settings).verdict(agreeing) == "", settings


def test_a_busy_machine_is_called_busy(timing):
    agreeing = {"SGD": timing.Spread([3.0, 3.1, 3.2])}
    said = machine(timing, others=1.25).verdict(agreeing)
    assert "CAREFUL, the machine was busy: other processes took 1.2 of its 2 CPUs" in said
    assert "disagree" not in said
    assert "63.5 of its 64 CPUs" in machine(timing, others=63.5, cpus=64).verdict(agreeing)
    said = machine(timing, told=False, load=4.4).verdict(agreeing)
    assert "busy: 4.4 processes at a time wanted its 2 CPUs" in said
    spreads = agreeing | {"Adam": timing.Spread([3, 4, 11, 20, 59])}
    said = machine(timing, told=False, load=None).verdict(spreads)
    assert "CAREFUL, these times are uncertain: rounds of the same work disagree (Adam:" in said
    said = machine(timing, others=1.25).verdict(spreads)
    assert "while times were taken; rounds of the same work disagree (Adam:" in said


def test_a_reading_of_this_machine(timing):
    first = timing.read_machine()
    while (last := timing.read_machine()).own < first.own + 0.05:
        pass
    assert last.wall > first.wall
    if sys.platform == "linux":
        # Ticks of the two clocks are a hundredth of a second each, and not at the same time.
        assert last.all - first.all > last.own - first.own - 0.05
        assert last.load is not None
    assert isinstance(timing.Watch().verdict({}), str)
