"""The progress bar of a training."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from fastnn._messages.bars import Facts, Progress, is_watched
from fastnn.program.executor import Executor

# What the next training that begins in this context tells of the samples it has gone through.
listener: ContextVar[Callable[[int], None] | None] = ContextVar("listener", default=None)


class _Told(Progress):
    """No bar of its own: what it is told goes to another one."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        super().__init__(None, "", False, lines=False)
        self._tell = tell

    def advance(self, count: int, facts: Facts | None = None) -> None:
        """Tell of so many samples."""
        self._tell(count)


def is_shown(name: str, verbose: Any) -> bool:
    """Return whether to show progress; "auto" says so where somebody may watch it."""
    if isinstance(verbose, str):
        if verbose != "auto":
            raise ValueError(f"{name}: expected True, False or 'auto', got {verbose!r}")
        return is_watched()
    return bool(verbose)


def samples_bar(executor: Executor, total: int, done: int, show: bool) -> Progress:
    """Return the progress bar of a training, which starts when its program is compiled."""
    if done < total:
        executor.prepare()
    tell = listener.get()
    if tell is not None:
        listener.set(None)  # not for what a callback trains meanwhile
        tell(done)
        return _Told(tell)
    # Without miniters it waits for as many samples as the last stretch had.
    progress = Progress(
        total, " samples", show, done=done, lines=False, unit_scale=True, miniters=1
    )
    if executor.reason:
        progress.write(f"training layer by layer: {executor.reason}")
    return progress


def mean_text(losses: list[float]) -> str:
    """Return the mean of some losses, for the progress bar."""
    return f"{math.fsum(losses) / len(losses):.4f}" if all(map(math.isfinite, losses)) else "nan"
