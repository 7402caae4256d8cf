"""What a process that measures is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from fastnn._bench.timing import Call, Times, take_turns


@dataclass(frozen=True)
class Settings:
    """What to measure, and for how long; how often processes are started, if it is asked for."""

    families: list[str]
    dtype: str
    threads: int
    quick: bool
    rounds: int | None = None

    def to_json(self) -> str:
        """Return the settings as the worker takes them."""
        return json.dumps(asdict(self))

    def times(self, calls: Mapping[str, Call]) -> Times:
        """Time the calls in turns."""
        seconds = 0.2 if self.quick else 1.0
        if self.threads == 1:
            return take_turns(calls, seconds)
        return take_turns(calls, 3 * seconds, sample=5e-3, settle=0.5)
