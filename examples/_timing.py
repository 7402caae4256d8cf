"""What the examples share that compare times with NumPy's.

NumPy gets the number of threads with which it is faster, all ways take turns, and what is printed
says how far the rounds spread and whether other processes kept the machine busy meanwhile.
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import NamedTuple

from fastnn import get_num_threads
from fastnn._bench.timing import Clock, Times, until_idle

CLOCK = Clock()
# Seconds for which NumPy's BLAS may keep its threads spinning after a product, on the cores that
# the other way then needs: a tenth is usual.
SETTLE = 0.25
LEAST = 3  # rounds, however long they take
# Of the CPU time that is to be measured, the share that others may take without a word.
UNNOTICED = 0.1
# From the lower to the upper quartile of the rounds' ratios: their middle half then leaves the
# ratio open by a fifth either way. Beside busy processes it was 1.1 to 1.6 with one thread of
# NumPy's and 1.3 to 4.3 with two, on two CPUs.
APART = 1.5


class Blas:
    """The threads of NumPy's BLAS, and how to set their number.

    Attributes
    ----------
    choices : list of int
        Numbers of threads to try: one, and all that NumPy has on the CPUs of this process. Empty
        where this BLAS does not let its number be set.
    cpus : int
        CPUs of this process, as fastnn counts them.
    """

    def __init__(self) -> None:
        try:
            from threadpoolctl import ThreadpoolController
        except ImportError:
            raise SystemExit(
                "this example sets the number of NumPy's threads by threadpoolctl, which is not "
                "there: pip install threadpoolctl"
            ) from None
        self._pools = ThreadpoolController().select(user_api="blas")
        own = [pool["num_threads"] for pool in self._pools.info()]
        self.cpus = get_num_threads()
        self.choices = sorted({1, min(max(own), self.cpus)}) if own else []

    def __str__(self) -> str:
        if not self.choices:
            return "its own number of threads, which cannot be set here"
        if len(self.choices) == 1:
            return counted(self.choices[0], "thread")
        return f"{' or '.join(map(str, self.choices))} threads, whichever is faster"

    def threads(self, number: int | None) -> AbstractContextManager[object]:
        """Limit NumPy to so many threads within a block; None: leave it alone."""
        return nullcontext() if number is None else self._pools.limit(limits=number)


class Best(NamedTuple):
    """The number of NumPy's threads that was found to be the fastest, and how long each took."""

    threads: int | None  # None: as NumPy has it, where it cannot be set
    seconds: Mapping[int | None, float]

    @property
    def time(self) -> float:
        """Return how long the work took with them."""
        return self.seconds[self.threads]


def best_threads(
    turn: Callable[[int | None], float],
    choices: Sequence[int],
    seconds: float,
    least: int = 2,
    clock: Clock = CLOCK,
) -> Best:
    """Try numbers of threads in turns on the work that is to be timed.

    Parameters
    ----------
    turn : function of int or None
        Does some of the work with so many threads, and returns how long it took.
    choices : sequence of int
        As :attr:`Blas.choices` has them.
    seconds : float
        How long to try, about: for ten rounds at most, and for `least` in any case.
    """
    numbers = dict(enumerate(choices or [None]))
    turns = {str(i): partial(turn, number) for i, number in numbers.items()}
    times = in_turns(turns, 10, seconds, least, clock)
    medians = {number: times.median(str(i)) for i, number in numbers.items()}
    return Best(min(medians, key=medians.__getitem__), medians)


def in_turns(
    turns: Mapping[str, Callable[[], float]],
    rounds: int,
    seconds: float = math.inf,
    least: int = LEAST,
    clock: Clock = CLOCK,
) -> Times:
    """Let several ways of doing the same take turns, so that the machine's noise meets all alike.

    Parameters
    ----------
    turns : mapping of str to function
        By name: each does its share of a round and returns how many seconds that took.
    rounds : int
        How many at most.
    seconds : float
        No new round begins after them, once there were `least`.

    Returns
    -------
    times : Times
        What the functions returned, round by round.
    """
    end = clock.now() + seconds
    taken: dict[str, list[float]] = {name: [] for name in turns}
    order = list(turns)
    for done in range(rounds):
        if done >= least and clock.now() >= end:
            break
        for name in order:
            until_idle(SETTLE, clock)
            taken[name].append(turns[name]())
        order = order[1:] + order[:1]
    return Times(taken)


class Spread(NamedTuple):
    """Ratios of the times of two ways, one for each round."""

    ratios: list[float]

    @classmethod
    def of(cls, times: Times, name: str, to: str) -> Spread:
        """Return how many times as long `name` took as `to`."""
        pairs = zip(times.samples[name], times.samples[to], strict=True)
        return cls([a / b for a, b in pairs])

    @property
    def median(self) -> float:
        """Return the middle one."""
        return statistics.median(self.ratios)

    def apart(self) -> bool:
        """Return whether rounds disagree more than they do on an idle machine."""
        if len(self.ratios) < 2:
            return False
        low, _, high = statistics.quantiles(self.ratios, n=4, method="inclusive")
        return high > APART * low

    def __str__(self) -> str:
        return f"{self.median:6.2f}x {f'{min(self.ratios):.2f}-{max(self.ratios):.2f}':>11}"


SPREAD_HEAD = f"{'median':>7} {'range':>11}"  # over what a `Spread` prints


class Reading(NamedTuple):
    """The machine at one moment, in seconds since some moment before."""

    wall: float
    own: float  # CPU time of this process and of those that it has waited for
    all: float | None  # of all processes, and of what the host took away; None: it is not told
    load: float | None  # processes that ran or wanted to, on average over the last minute


def read_machine() -> Reading:
    """Return the present reading."""
    now = os.times()
    return Reading(now.elapsed, sum(now[:4]), _all_cpu_time(), _load())


def _all_cpu_time() -> float | None:
    try:
        with open("/proc/stat") as file:
            user, nice, system, _idle, _waiting, *others = map(int, file.readline().split()[1:9])
    except (OSError, ValueError):  # not Linux
        return None
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows
        return None


class Watch:
    """Looks whether other processes keep the machine busy, from now on.

    Parameters
    ----------
    read : function, optional
        What to read the machine by.
    cpus : int, optional
        How many it has.
    threads : int, optional
        How many of them what is measured can use.
    """

    def __init__(
        self,
        read: Callable[[], Reading] = read_machine,
        cpus: int | None = None,
        threads: int | None = None,
    ) -> None:
        self._read, self._first = read, read()
        self._cpus = cpus or os.cpu_count() or 1
        self._threads = min(threads or get_num_threads(), self._cpus)

    def verdict(self, spreads: Mapping[str, Spread]) -> str:
        """Return a warning if the machine was busy or rounds disagree, else nothing.

        Parameters
        ----------
        spreads : mapping of str to Spread
            The ratios that were measured meanwhile, by name.
        """
        others, disagreements = [*self._others()], [*_disagreements(spreads)]
        if not others + disagreements:
            return ""
        what = "the machine was busy" if others else "these times are uncertain"
        return (
            f"CAREFUL, {what}: {'; '.join(others + disagreements)}. On a busy machine threads wait "
            "for CPUs and for each other, so that times and ratios are not those of an idle one."
        )

    def _others(self) -> Iterator[str]:
        first, last = self._first, self._read()
        if first.all is not None and last.all is not None and last.wall > first.wall:
            others = (last.all - first.all) - (last.own - first.own)
            used = others / (last.wall - first.wall)
            if used > self._cpus - self._threads + UNNOTICED * self._threads:
                yield (
                    f"other processes took {used:.1f} of its {counted(self._cpus, 'CPU')} while "
                    "times were taken"
                )
        elif last.load is not None and last.load > self._cpus + UNNOTICED * self._threads:
            yield (
                f"{last.load:.1f} processes at a time wanted its {counted(self._cpus, 'CPU')} in "
                "the last minute (load average)"
            )


def _disagreements(spreads: Mapping[str, Spread]) -> Iterator[str]:
    names = [name for name, spread in spreads.items() if spread.apart()]
    if names:
        yield (
            f"rounds of the same work disagree ({', '.join(names)}: quartiles of the ratio "
            f"more than {APART}-fold apart)"
        )


def counted(number: int, noun: str) -> str:
    """Return a number and what it counts."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
