"""Times of several calls, taken in turns.

A shared machine changes its speed from one second to the next, and a comparison of two
measurements that were taken one after the other measures that. So the calls are timed in many
short rounds, each call once a round, and compared within rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Call = Callable[[], object]

ROUNDS = (5, 1000)  # at least, at most
LOOK, IDLE = 0.01, 0.2  # seconds to look for running threads; share of them that is none
LONG = 0.05  # seconds from which on a call is no slower for having been preceded by another


@dataclass(frozen=True)
class Clock:
    """How to tell the time and how to let it pass; a test has its own."""

    now: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep
    cpu: Callable[[], float] = time.process_time  # of all threads of this process


@dataclass(frozen=True)
class Times:
    """Seconds a call, one value for each round."""

    samples: Mapping[str, list[float]]

    def minimum(self, name: str) -> float:
        """Return the time of the best round."""
        return min(self.samples[name])

    def median(self, name: str) -> float:
        """Return the middle time."""
        return statistics.median(self.samples[name])

    def ratio(self, name: str, to: str) -> float:
        """Return how many times as long `name` takes as `to`: the median over the rounds."""
        pairs = zip(self.samples[name], self.samples[to], strict=True)
        return statistics.median(a / b for a, b in pairs)


def take_turns(
    calls: Mapping[str, Call],
    seconds: float,
    *,
    sample: float = 1e-3,
    settle: float = 0.0,
    rounds: int = ROUNDS[0],
    clock: Clock = Clock(),
) -> Times:
    """Time the calls in rounds.

    Parameters
    ----------
    calls : mapping of str to callable
        By name; they have run once before.
    seconds : float
        How long to go on, from `rounds` at least to `ROUNDS` at most.
    sample : float
        How long each call's turn should be: short calls are repeated.
    settle : float
        How long to wait before each turn, at most, until no thread is running any more.
    rounds : int
        How many at least.
    clock : Clock
    """
    once = {name: _estimate(call, sample, clock) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    end = clock.now() + seconds
    for i in range(ROUNDS[1]):
        if i >= rounds and clock.now() >= end:
            break
        for name in order:
            until_idle(settle, clock)
            if once[name] < LONG:
                # Once before, so that data and threads are where this call wants them.
                calls[name]()
            number = max(1, round(sample / once[name]))
            samples[name].append(_time(calls[name], number, clock))
        order = order[1:] + order[:1]
    return Times(samples)


def until_idle(most: float, clock: Clock) -> None:
    """Wait until no thread of this process is running.

    Pools keep their threads looking for work after a call, on the processors that the next call
    needs: OpenBLAS for 105 ms, PyTorch's OpenMP for 10, JAX's hardly at all.
    """
    end = clock.now() + most
    while clock.now() < end:
        start, used = clock.now(), clock.cpu()
        clock.sleep(LOOK)
        if clock.cpu() - used < IDLE * (clock.now() - start):
            break


def _time(call: Call, number: int, clock: Clock) -> float:
    """Return the seconds that a call takes, on average over `number` in a row."""
    rounds = range(number)
    start = clock.now()
    for _ in rounds:
        call()
    return (clock.now() - start) / number


def _estimate(call: Call, sample: float, clock: Clock) -> float:
    """Return about how many seconds a call takes."""
    number = 1
    while (seconds := _time(call, number, clock)) * number < sample / 4:
        number *= 2
    return seconds
