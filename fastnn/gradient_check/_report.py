"""What a gradient check found, as an object, a table and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

import numpy as np

from fastnn._utils import distribution as _distribution
from fastnn._utils import html
from fastnn._utils.types import Float64s
from fastnn.gradient_check._compare import (
    HAPPY,
    OKAY,
    UNJUDGED,
    WRONG,
    Kink,
    ParameterCheck,
    Worst,
    entry,
)

_HEAD = (
    "  checked  zero  small  kink  worst entry        analytic   numerical"
    "  relative error      h  verdict"
)
_COLUMNS = (
    "parameter", "checked", "zero", "small", "kink", "worst entry", "analytic", "numerical",
    "relative error", "h", "verdict",
)  # fmt: skip
_SHOWN = 3  # kinks of the many that there may be


@dataclass(frozen=True, eq=False, repr=False)
class GradientReport:
    """What a gradient check found. ``print(report)`` shows a table.

    Attributes
    ----------
    name : str
        What was checked.
    checks : dict of str to ParameterCheck
        Of the loss without weight penalty, for each parameter.
    penalty : dict of str to ParameterCheck
        Of the weight penalty alone; empty if there is none.
    crossed : list of Kink
        Each unit that a difference has taken across its kink.
    samples : int or None
        Number of samples.
    dtype : str
    has_penalty : bool
        Whether the network shows the strength of its penalty, so that it could be turned off.
    burn_in : int
        Training steps before the check.
    burn_in_losses : tuple of float, or None
        Loss before and after them.
    """

    name: str
    checks: Mapping[str, ParameterCheck]
    penalty: Mapping[str, ParameterCheck] = field(default_factory=dict)
    crossed: list[Kink] = field(default_factory=list)
    samples: int | None = None
    dtype: str = "float64"
    has_penalty: bool = False
    burn_in: int = 0
    burn_in_losses: tuple[float, float] | None = None

    @property
    def _all(self) -> list[ParameterCheck]:
        return [*self.checks.values(), *self.penalty.values()]

    @property
    def ok(self) -> bool:
        """Whether no verdict is against a gradient, and there were gradients to judge."""
        seen = any(check.verdict not in UNJUDGED for check in self.checks.values())
        return seen and all(check.ok for check in self._all)

    @property
    def worst(self) -> Worst | None:
        """The worst entry of all; None if none could be judged."""
        check = self._worst_check
        return None if check is None else check.worst

    @property
    def verdict(self) -> str:
        """The verdict on the worst entry."""
        check = self._worst_check
        return "nothing could be judged" if check is None else check.verdict

    @property
    def _worst_check(self) -> ParameterCheck | None:
        judged = [check for check in self._all if check.verdict not in UNJUDGED]
        return max(judged, key=lambda check: (not check.ok, check.counted), default=None)

    @property
    def steps(self) -> Float64s:
        """Steps of the differences, largest first."""
        return next(iter(self.checks.values())).steps

    def errors(self, crossed: bool = False) -> Float64s:
        """Return the relative errors of all entries whose gradient is not zero, for each step.

        Parameters
        ----------
        crossed : bool
            Whether differences that crossed a kink count too; they are NaN otherwise.

        Returns
        -------
        ndarray, shape (entries, steps)
        """
        rows = []
        for check in self.checks.values():
            kept = ~check.zero & ~check.small
            errors = check.errors if crossed else np.where(check.crossed, np.nan, check.errors)
            rows.append(errors[kept])
        return np.concatenate(rows)

    @property
    def best_step(self) -> float:
        """The step with the smallest median error; NaN if all gradients are zero."""
        medians = _medians(self.errors())
        return float("nan") if np.isnan(medians).all() else float(self.steps[np.nanargmin(medians)])

    def plot(self, axes: Any = None) -> Any:
        """Draw the error against the step: the median of each parameter's entries.

        Differences that crossed a kink are left out. Truncation makes errors fall with the
        square of the step, rounding makes them rise again.

        Parameters
        ----------
        axes : matplotlib axes, optional
            Where to draw; new ones if not given.

        Returns
        -------
        matplotlib axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if axes is None:
            try:
                import matplotlib.pyplot as plt
            except ImportError as error:
                command = _distribution.install_command("plot")
                raise ImportError(f"plot needs matplotlib: {command}") from error
            _, axes = plt.subplots(layout="constrained")
        for key, check in self.checks.items():
            kept = ~check.zero & ~check.small
            errors = np.where(check.crossed, np.nan, check.errors)[kept]
            axes.loglog(check.steps, _medians(errors), marker=".", label=key)
        for limit in (WRONG, OKAY, HAPPY):
            axes.axhline(limit, color="black", linestyle=":", linewidth=0.8)
        axes.set(xlabel="step h", ylabel="median relative error", title=self.name)
        axes.legend()
        return axes

    def __repr__(self) -> str:
        return f"GradientReport({self.name}: {self._summary()})"

    def __str__(self) -> str:
        return "\n".join([self._title(), *self._tables(), *self._remarks(), self._summary()])

    def _repr_html_(self) -> str:
        parts = [
            html.heading(self._title()),
            html.table(_COLUMNS, map(_cells, self.checks.values())),
        ]
        if self.penalty:
            parts += [
                html.paragraph("weight penalty alone:"),
                html.table(_COLUMNS, map(_cells, self.penalty.values())),
            ]
        return html.join(*parts, html.bullets(self._remarks()), html.heading(self._summary()))

    def _title(self) -> str:
        steps = " to ".join(f"{h:.0e}" for h in dict.fromkeys(self.steps[[0, -1]].tolist()))
        facts = [self.dtype, f"h from {steps}" if len(self.steps) > 1 else f"h = {steps}"]
        if self.samples is not None:
            facts.insert(0, f"{self.samples} samples")
        if self.burn_in_losses is not None:
            before, after = self.burn_in_losses
            facts.append(f"after {self.burn_in} training steps: loss {before:.3f} to {after:.3f}")
        return f"gradient check of {self.name} ({', '.join(facts)})"

    def _tables(self) -> list[str]:
        width = max(map(len, ["parameter", *self.checks, *self.penalty]))
        head = f"{'parameter':<{width}}{_HEAD}"
        lines = [head, *(_row(check, width) for check in self.checks.values())]
        if self.has_penalty:
            lines.insert(0, "data loss, without weight penalty:")
        if self.penalty:
            without = [c.key for c in self.penalty.values() if c.verdict in UNJUDGED]
            judged = (check for key, check in self.penalty.items() if key not in without)
            lines += ["weight penalty alone:", head, *(_row(check, width) for check in judged)]
            if without:
                lines.append(f"without weight penalty: {', '.join(without)}")
        return lines

    def _remarks(self) -> list[str]:
        lines = []
        if any(check.small.any() for check in self.checks.values()):
            lines += wrap(
                "small: gradients that rounding hides, not judged. Multiply the loss by a constant "
                "to see them. A bias before batch normalisation has no gradient at all.",
                100,
            )
        if any(check.on_kink.any() for check in self.checks.values()):
            lines.append(
                "kink: every step crossed one, not judged. Take fewer samples, or smaller steps."
            )
        if self.crossed:
            nearest = sorted(self.crossed, key=lambda kink: kink.step)
            lines.append(
                f"differences that crossed a kink count for nothing: "
                f"{len({(k.parameter, k.index, k.step) for k in self.crossed})}, among them"
            )
            lines += [f"  {kink}" for kink in nearest[:_SHOWN]]
        if self.burn_in_losses is not None and not self.burn_in_losses[1] < self.burn_in_losses[0]:
            lines.append("the loss did not go down in the burn-in")
        return lines

    def _summary(self) -> str:
        worst = self.worst
        state = "ok" if self.ok else "FAIL"
        if worst is None:
            return f"{state}: every gradient is zero, on a kink, or too small to tell"
        where = entry(worst.parameter, worst.index)
        if self._worst_check in self.penalty.values():
            where += " of the weight penalty"
        text = f"{state}: the largest error is {worst.error:.1e}, at {where}: {self.verdict}"
        return text + f"; best h {self.best_step:.0e}"


def _medians(errors: Float64s) -> Float64s:
    """Return the median of each column without NaN; NaN where there is nothing else."""
    medians = np.full(errors.shape[1], np.nan)
    some = ~np.isnan(errors).all(axis=0)
    medians[some] = np.nanmedian(errors[:, some], axis=0)
    return medians


def _cells(check: ParameterCheck) -> list[str]:
    """Return the row of a check, by `_COLUMNS`."""
    counts = len(check.indices), check.zero.sum(), check.small.sum(), check.on_kink.sum()
    worst = check.worst
    if worst is None or check.verdict in UNJUDGED:
        found = [""] * 5
    else:
        found = [
            entry("", worst.index), f"{worst.analytic:.4e}", f"{worst.numerical:.4e}",
            f"{worst.error:.1e}", f"{worst.step:.0e}",
        ]  # fmt: skip
    return [check.key, *(f"{int(count)}" for count in counts), *found, check.verdict]


def _row(check: ParameterCheck, width: int) -> str:
    key, checked, zero, small, kink, index, analytic, numerical, error, h, verdict = _cells(check)
    return (
        f"{key:<{width}}  {checked:>7}  {zero:>4}  {small:>5}  {kink:>4}  {index:<14}  "
        f"{analytic:>11} {numerical:>11}  {error:>14}  {h:>5}  {verdict}"
    )
