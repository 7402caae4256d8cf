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
    """What was found of a case: "fine", "slower", "unconfirmed" or "absent", and why."""

    case: str
    verdict: str = ""
    ratios: list[float] = field(default_factory=list)
    seconds: float = 0.0  # of a call of the old commit, at best
    reason: str = ""

    @property
    def interval(self) -> Interval:
        """The median ratio, and between what it lies."""
        return interval(self.ratios)


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
        self.old, self.new = (self._stack.enter_context(start()) for start in self._start)
        self._processors = cycle(processors()) if self.old.threads == 1 else None
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
            self.old.confine(processor)
            self.new.confine(processor)

    def decide(self, case: str) -> Result:
        """Take pairs until it is decided whether the case is slower."""
        result = Result(case)
        best = []
        for worker, which in ((self.old, "BASE"), (self.new, "this commit")):
            answers = [worker.run(case, 1) for _ in range(3)]
            if "absent" in answers[0]:
                result.verdict, result.reason = "absent", f"{which}: {answers[0]['absent']}"
                return result
            best.append(min(answer["seconds"] for answer in answers))
        result.seconds = best[0]
        calls = max(1, round(SAMPLE / max(min(best), 1e-7)))
        for look in LOOKS:
            self._move()
            while len(result.ratios) < look:
                order = [self.old, self.new] if len(result.ratios) % 2 else [self.new, self.old]
                took = {worker: worker.run(case, calls)["seconds"] for worker in order}
                result.ratios.append(took[self.new] / took[self.old])
                result.seconds = min(result.seconds, took[self.old] / calls)
            found = verdict(result.ratios)
            if found is not None:
                result.verdict = found
                break
        return result


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
                if again.verdict != "slower":
                    again.verdict = "unconfirmed"
                results[i] = again
    return results
