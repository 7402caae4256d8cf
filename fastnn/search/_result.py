"""What a search found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, SupportsFloat, SupportsIndex

from fastnn._utils import html
from fastnn._utils import validation as numbers
from fastnn.search._ranges import Range
from fastnn.search._trial import State

__all__ = ["Border", "BorderWarning", "FinishedTrial", "SearchResult"]

STATES: tuple[State, ...] = ("complete", "pruned", "diverged")


class BorderWarning(UserWarning):
    """The best value of a search lies at the border of its range."""


@dataclass(frozen=True)
class Border:
    """A best value that lies at an end of its range.

    Attributes
    ----------
    name : str
        Of the hyper-parameter.
    value : float
    end : {"lower", "upper"}
    range : Range
    """

    name: str
    value: float
    end: Literal["lower", "upper"]
    range: Range

    def __str__(self) -> str:
        beyond = "below" if self.end == "lower" else "above"
        return (
            f"the best {self.name}, {self.value:.3g}, lies at the {self.end} end of "
            f"{self.range!r}: better ones may lie {beyond}, search a range that reaches further"
        )


@dataclass(frozen=True)
class FinishedTrial:
    """A trial that has run.

    Attributes
    ----------
    number : int
    values : dict of str
        The hyper-parameters; ``trial["lr"]`` is short for ``trial.values["lr"]``.
    state : {"complete", "pruned", "diverged"}
        Pruned: ended early as it went worse than others. Diverged: something became NaN or
        infinite.
    value : float
        The metric; NaN if it diverged.
    curves : dict of str to list of float
        What was reported, epoch by epoch.
    seconds : float
        From its start to its end.
    """

    number: int
    values: Mapping[str, Any]
    state: State
    value: float
    curves: Mapping[str, list[float]] = field(repr=False)
    seconds: float = field(repr=False, compare=False)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def epochs(self) -> int:
        """How many epochs were reported."""
        return max(map(len, self.curves.values()), default=0)

    def _texts(self) -> dict[str, str]:
        return {
            name: f"{value:.3g}" if isinstance(value, float) else f"{value}"
            for name, value in self.values.items()
        }

    def __str__(self) -> str:
        return ", ".join(f"{name} {text}" for name, text in self._texts().items())


@dataclass(frozen=True, repr=False)
class SearchResult:
    """What a search found: a sequence of its finished trials, and what follows from them.

    Attributes
    ----------
    name : str
    metric : str
        What was compared.
    maximize : bool
        Whether more is better.
    ranges : dict of str to Range
    trials : tuple of FinishedTrial
        By number.
    study : optuna.Study
        For Optuna's own tools, such as ``optuna.visualization``.
    """

    name: str
    metric: str
    maximize: bool
    ranges: Mapping[str, Range]
    trials: tuple[FinishedTrial, ...]
    study: Any = field(compare=False)

    def __iter__(self) -> Iterator[FinishedTrial]:
        return iter(self.trials)

    def __len__(self) -> int:
        return len(self.trials)

    def top(self, n: SupportsIndex = 5) -> list[FinishedTrial]:
        """Return the best trials, best first.

        Trials that ran to their end come before those that were pruned; those that diverged
        are left out.

        Parameters
        ----------
        n : int
            How many, at least 1; fewer if there are not as many.

        Returns
        -------
        list of FinishedTrial
        """
        sign = -1 if self.maximize else 1
        ranked = [trial for trial in self.trials if math.isfinite(trial.value)]
        ranked.sort(key=lambda trial: (STATES.index(trial.state), sign * trial.value))
        return ranked[: numbers.integer("n", n, 1)]

    @property
    def best(self) -> FinishedTrial:
        """The best trial; ValueError if there is none."""
        best = self.top(1)
        if not best:
            raise ValueError(f"the search {self.name!r} has no result: {self._counts()}")
        return best[0]

    @property
    def border(self) -> list[Border]:
        """The best trial's values that lie at the border of their range.

        That is, within 5 % of an end, on the range's scale. The range may have been set badly
        then (CS231n notes, "Neural networks 3", careful with best values on border).
        """
        best = self.top(1)
        found = []
        for name, range_ in self.ranges.items():
            end = range_.border(best[0][name]) if best else None
            if end is not None:
                found.append(Border(name, best[0][name], end, range_))
        return found

    def narrowed(
        self,
        keep: SupportsIndex | None = None,
        margin: SupportsFloat = 0.1,
        within: Mapping[str, Range] | None = None,
    ) -> dict[str, Range]:
        """Return ranges about the best trials, for a finer search.

        Each is the span of the best trials' values with a margin. If the best value lies at the
        border of its range, the new range reaches beyond: that end comes into its middle. Only
        :class:`Log` ranges leave `within` for that, as ends on a linear scale are limits as a
        rule.

        Parameters
        ----------
        keep : int, optional
            How many of the best trials to look at, at least 1; by default a tenth of all, but at
            least five.
        margin : float
            In [0, 1], as a share of the span that was searched.
        within : dict of str to Range, optional
            What the new ranges stay within: those of the first of several searches, say. By
            default the ranges that were searched.

        Returns
        -------
        dict of str to Range

        Raises
        ------
        ValueError
            If no trial has a result, or an argument is out of its range.
        """
        if keep is None:
            keep = max(5, len(self.trials) // 10)
        margin = numbers.fraction("margin", margin)
        within = self.ranges if within is None else within
        if set(within) != set(self.ranges):
            raise ValueError(
                f"within: expected ranges of {', '.join(self.ranges)}, got {', '.join(within)}"
            )
        best = self.best
        good = [trial for trial in self.top(keep) if trial.state == best.state]
        return {
            name: range_.narrowed([trial[name] for trial in good], margin, within[name])
            for name, range_ in self.ranges.items()
        }

    def _counts(self) -> str:
        states = [trial.state for trial in self.trials]
        kinds = [f"{states.count(state)} {state}" for state in STATES if state in states]
        return f"{len(self.trials)} trials" + (f" ({', '.join(kinds)})" if kinds else "")

    def __repr__(self) -> str:
        best = self.top(1)
        return (
            f"SearchResult({self.name!r}: {self._counts()}"
            + (f", best {self.metric} {best[0].value:.4g} with {best[0]}" if best else "")
            + ")"
        )

    def __str__(self) -> str:
        lines = [f"{self.name}: {self._counts()}, {self._ranges()}"]
        for i, trial in enumerate(self.top(5), start=1):
            pruned = "" if trial.state == "complete" else f" [{trial.state}]"
            lines.append(f"Best-{i} ({self.metric} {trial.value:.4g}){pruned} | {trial}")
        lines += [f"careful: {border}" for border in self.border]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [
            [str(trial.number), f"{trial.value:.4g}", *trial._texts().values(), trial.state]
            for trial in self.top(5)
        ]
        return html.join(
            html.heading(f"{self.name}: {self._counts()}, {self._ranges()}"),
            html.table(["trial", self.metric, *self.ranges, "state"], rows),
            html.bullets(f"careful: {border}" for border in self.border),
        )

    def _ranges(self) -> str:
        return ", ".join(f"{name} {range_!r}" for name, range_ in self.ranges.items())
