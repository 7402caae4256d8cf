"""What a start may take: a limit's text, and whether what was measured keeps it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fastnn._bench.starts.process import Usage

Measured = Mapping[str, Sequence[Usage]]


class Verdict(NamedTuple):
    """What was found, in the words of the limit; None where the other library is not there."""

    found: str
    holds: bool | None


def seconds(value: float) -> str:
    """Return a time in the unit that suits it."""
    return f"{value:,.1f} s" if abs(value) >= 3 else f"{value * 1e3:,.0f} ms"


@dataclass(frozen=True)
class Above:
    """So many CPU seconds more than another library; without `most`, no limit."""

    peer: str
    most: float | None = None

    @property
    def text(self) -> str:
        """The limit in words."""
        return f"{self.peer} + {seconds(self.most)}" if self.most else ""

    def judge(self, times: Measured) -> Verdict:
        """Compare the median of the differences in a round."""
        pairs = zip(times["fastnn"], times[self.peer], strict=True)
        more = statistics.median(ours.cpu - theirs.cpu for ours, theirs in pairs)
        return Verdict(f"{self.peer} + {seconds(more)}", more <= self.most if self.most else None)


@dataclass(frozen=True)
class Share:
    """So many times the CPU seconds of another library."""

    peer: str
    most: float | None = None

    @property
    def text(self) -> str:
        """The limit in words."""
        return f"{self.peer} x {self.most}" if self.most else ""

    def judge(self, times: Measured) -> Verdict:
        """Compare the median of the ratios in a round."""
        if self.peer not in times:
            return Verdict(f"{self.peer} is not installed", None)
        pairs = zip(times["fastnn"], times[self.peer], strict=True)
        ratio = statistics.median(ours.cpu / theirs.cpu for ours, theirs in pairs)
        return Verdict(f"{self.peer} x {ratio:.2f}", ratio <= self.most if self.most else None)


@dataclass(frozen=True)
class Most:
    """So many CPU seconds, and seconds that pass."""

    cpu: float
    wall: float | None = None

    @property
    def text(self) -> str:
        """The limit in words."""
        return seconds(self.cpu) + (f", {seconds(self.wall)} wall" if self.wall else "")

    def judge(self, times: Measured) -> Verdict:
        """Compare medians."""
        cpu = statistics.median(one.cpu for one in times["fastnn"])
        wall = statistics.median(one.wall for one in times["fastnn"])
        holds = cpu <= self.cpu and (self.wall is None or wall <= self.wall)
        return Verdict(seconds(cpu) + (f", {seconds(wall)} wall" if self.wall else ""), holds)


Limit = Above | Share | Most
