"""Cases of two commits, timed in turns until each is decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle

from tqdm import tqdm

from .builds import Worker, processors
from .pairs import LOOKS, Interval, interval, verdict

SAMPLE = 1e-3  # seconds that one side of a pair should take


@dataclass
class Result:
    """What was found of a case, and why.

    Its verdict is "fine", "slower", "unconfirmed" (slower in the first pair of processes alone),
    "undecided" (after all pairs), "broken" (the new commit fails) or "absent" (the old one does).
    """

    case: str
    verdict: str = ""
    ratios: list[float] = field(default_factory=list)
    seconds: float = 0.0  # of a call of the old commit, at best
    reason: str = ""

    @property
    def interval(self) -> Interval:
        """The median ratio, and between what it lies."""
        return interval(self.ratios)


class Failed(Exception):
    """A worker could not run a case."""


class Turns:
    """Two processes, one with each commit, which take turns.

    Parameters
    ----------
    old, new : function
        Start a worker.
    """

    def __init__(self, old: Callable[[], Worker], new: Callable[[], Worker]) -> None:
        self._start = old, new
        self._stack = ExitStack()

    def __enter__(self) -> Turns:
        self._workers = [self._stack.enter_context(start()) for start in self._start]
        self._processors = cycle(processors()) if self._workers[0].threads == 1 else None
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _move(self) -> None:
        """Put both processes on the same processor, another one than before.

        They never run at once. Each on a processor of its own, one may have a busy neighbour for
        as long as the other has not, and no number of pairs shows that.
        """
        if self._processors is not None:
            processor = next(self._processors)
            for worker in self._workers:
                worker.confine(processor)

    def decide(self, case: str) -> Result:
        """Take pairs until it is decided whether the case is slower."""
        result = Result(case)
        try:
            self._decide(result)
        except Failed as error:
            result.verdict, result.reason = error.args
        return result

    def _decide(self, result: Result) -> None:
        best = [min(self._time(worker, result, 1) for _ in range(3)) for worker in self._workers]
        result.seconds = best[0]
        calls = max(1, round(SAMPLE / max(min(best), 1e-7)))
        for look in LOOKS:
            self._move()
            while len(result.ratios) < look:
                order = self._workers if len(result.ratios) % 2 else self._workers[::-1]
                took = {worker: self._time(worker, result, calls) for worker in order}
                old, new = (took[worker] for worker in self._workers)
                result.ratios.append(new / old)
                result.seconds = min(result.seconds, old / calls)
            result.verdict = verdict(result.ratios) or ""
            if result.verdict:
                break

    def _time(self, worker: Worker, result: Result, calls: int) -> float:
        answer = worker.run(result.case, calls)
        if "failed" in answer:
            raise Failed("absent" if worker is self._workers[0] else "broken", answer["failed"])
        seconds: float = answer["seconds"]
        return seconds


def compare(
    old: Callable[[], Worker], new: Callable[[], Worker], cases: Iterable[str], progress: bool
) -> list[Result]:
    """Decide all cases; those that are slower again in new processes, which have to agree.

    Where memory lies differs from process to process, and with it a time, by some percent for
    as long as the process lives: no number of pairs in one process shows that.
    """
    with Turns(old, new) as turns:
        bar = tqdm([*cases], unit=" cases", disable=None if progress else True)
        results = [turns.decide(case) for case in bar]
    slower = [i for i, result in enumerate(results) if result.verdict == "slower"]
    if slower:
        with Turns(old, new) as turns:
            for i in tqdm(slower, desc="again, in new processes", disable=not progress):
                again = turns.decide(results[i].case)
                if again.verdict in ("fine", "undecided"):
                    again.verdict = "unconfirmed"
                results[i] = again
    return results
