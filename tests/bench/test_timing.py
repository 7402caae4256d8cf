"""The clock of the benchmarks, on a time of its own."""

import pytest

from fastnn._bench.timing import LONG, ROUNDS, Clock, Times, take_turns


class Fake:
    """A time that passes only in calls and waits; `log` says who took it.

    After each call a thread spins for so many seconds.
    """

    def __init__(self, spin=0.0):
        self.time = 0.0
        self.spin = spin
        self.spinning_until = 0.0
        self.log = []
        self.speed = 1.0

    def clock(self):
        return Clock(now=lambda: self.time, sleep=self.sleep, cpu=self.cpu)

    def cpu(self):
        return min(self.time, self.spinning_until)

    def sleep(self, seconds):
        self.log.append("sleep")
        self.time += seconds

    def call(self, name, seconds):
        def run():
            self.log.append(name)
            self.time += seconds * self.speed
            self.spinning_until = self.time + self.spin

        return run


def test_times_are_those_of_one_call():
    fake = Fake()
    calls = {"a": fake.call("a", 1e-5), "b": fake.call("b", 3e-3)}
    times = take_turns(calls, 0.1, clock=fake.clock())
    assert times.minimum("a") == pytest.approx(1e-5)
    assert times.median("b") == pytest.approx(3e-3)
    assert times.ratio("b", to="a") == pytest.approx(300)
    assert times.ratio("a", to="b") == pytest.approx(1 / 300)


def test_calls_take_turns_in_rotating_order():
    fake = Fake()
    calls = {name: fake.call(name, LONG) for name in "abc"}
    take_turns(calls, 0.0, clock=fake.clock())
    estimates, rounds = fake.log[:3], fake.log[3:]
    assert estimates == ["a", "b", "c"]
    assert "".join(rounds) == "abcbcacababcbca"
    assert len(rounds) == 3 * ROUNDS[0]


def test_short_calls_are_repeated_and_preceded_by_one():
    fake = Fake()
    take_turns({"a": fake.call("a", 1e-4)}, 0.0, sample=1e-3, clock=fake.clock())
    estimate = 1 + 2 + 4  # until a quarter of the sample has passed
    assert len(fake.log) == estimate + ROUNDS[0] * (1 + 10)


def test_it_lasts_as_long_as_asked():
    fake = Fake()
    calls = {name: fake.call(name, 1e-3) for name in "ab"}
    times = take_turns(calls, 1.0, clock=fake.clock())
    assert fake.time == pytest.approx(1.0, abs=0.01)
    assert len(times.samples["a"]) == len(times.samples["b"]) == 250


def test_it_ends_after_so_many_rounds():
    fake = Fake()
    times = take_turns({"a": fake.call("a", 1e-3)}, 1e9, clock=fake.clock())
    assert len(times.samples["a"]) == ROUNDS[1]


@pytest.mark.parametrize("spin, looks", [(0.0, 1), (0.105, 12), (9.0, 50)])
def test_it_waits_before_each_turn_until_no_thread_spins(spin, looks):
    fake = Fake(spin)
    calls = {name: fake.call(name, LONG) for name in "ab"}
    take_turns(calls, 0.0, settle=0.495, clock=fake.clock())
    rounds = fake.log[2:]
    assert rounds[:: looks + 1] == ["sleep"] * (2 * ROUNDS[0])
    assert rounds[looks :: looks + 1] == list("abbaabbaab")
    assert len(rounds) == (looks + 1) * 2 * ROUNDS[0]


def test_it_does_not_wait_if_not_asked_to():
    fake = Fake(spin=9.0)
    take_turns({"a": fake.call("a", LONG)}, 0.0, clock=fake.clock())
    assert "sleep" not in fake.log


def test_ratios_are_paired_so_that_a_slow_spell_does_not_count():
    # The machine slows down by three in the middle of the measurement.
    times = Times({"a": [1, 1, 3, 3, 3], "b": [2, 2, 6, 6, 2]})
    assert times.ratio("b", to="a") == 2
    assert times.minimum("a") == 1
    assert times.median("a") == 3
