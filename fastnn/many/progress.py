"""The progress of several trainings, which one thread shows."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from fastnn._messages.bars import Progress


class Together:
    """One progress bar of several trainings.

    Parameters
    ----------
    samples : list of int
        That each goes through.
    show : bool
    """

    def __init__(self, samples: list[int], show: bool) -> None:
        self._left = list(samples)
        self._lock = threading.Lock()
        self._advanced = self._ended = 0
        self._lines: deque[str] = deque()
        settings: dict[str, Any] = {"unit_scale": True, "miniters": 1}
        self._bar = Progress(sum(samples), " samples", show, lines=False, **settings)

    def listener(self, i: int) -> Callable[[int], None]:
        """Return what training `i` tells of the samples that it has gone through."""

        def tell(samples: int) -> None:
            with self._lock:
                samples = min(samples, self._left[i])
                self._left[i] -= samples
                self._advanced += samples

        return tell

    def end(self, i: int, line: str) -> None:
        """Take note that a training has ended."""
        self.listener(i)(self._left[i])
        with self._lock:
            self._ended += 1
        self._lines.append(line)

    def look(self) -> None:
        """Show what there is, in the thread that has the bar."""
        while self._lines:
            self._bar.write(self._lines.popleft())
        with self._lock:
            advanced, self._advanced = self._advanced, 0
            facts = {"networks": f"{self._ended}/{len(self._left)}"}
        if advanced:
            self._bar.advance(advanced, lambda: facts)

    def __enter__(self) -> Together:
        self._bar.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.look()
        self._bar.__exit__(*error)
