"""What a sanity check found."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import wrap

from fastnn._utils import html
from fastnn._utils.types import Float64s

_IN = " " * 6


@dataclass(frozen=True, eq=False)
class Check:
    """What a sanity check found.

    Attributes
    ----------
    name : str
    ok : bool or None
        None if the check does not apply.
    text : str
        What was seen, and what was expected.
    advice : str
        What may be wrong; empty if nothing is.
    values : dict of str to ndarray
        The numbers behind it, such as the losses while a few samples were overfitted.
    """

    name: str
    ok: bool | None
    text: str
    advice: str = ""
    values: dict[str, Float64s] = field(default_factory=dict)

    @property
    def _state(self) -> str:
        return {True: "ok", False: "FAIL", None: "-"}[self.ok]

    def __str__(self) -> str:
        line = f"{self._state:<4}  {self.name}: {self.text}"
        return "\n".join([line, *wrap(self.advice, 94, initial_indent=_IN, subsequent_indent=_IN)])


@dataclass(frozen=True, eq=False)
class SanityReport:
    """What sanity checks found. ``print(report)`` shows a line for each.

    Attributes
    ----------
    checks : tuple of Check
    """

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether no check has failed."""
        return not self.failed

    @property
    def failed(self) -> list[str]:
        """Names of the checks that have failed."""
        return [check.name for check in self.checks if check.ok is False]

    def __getitem__(self, name: str) -> Check:
        """Return the check of this name."""
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(name)

    def __str__(self) -> str:
        return "\n".join(map(str, self.checks))

    def _repr_html_(self) -> str:
        rows = [[check._state, check.name, check.text, check.advice] for check in self.checks]
        failed = f"failed: {', '.join(self.failed)}" if self.failed else "ok"
        return html.join(
            html.heading(f"Sanity checks: {failed}"),
            html.table(["", "check", "seen", "advice"], rows),
        )
