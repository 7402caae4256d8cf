"""What an attack found: one record, which a line of JSON can hold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

Figures = dict[str, "int | float | str"]

FAILURES_KEPT = 50  # of one attack: more of the same say nothing new


@dataclass(frozen=True)
class Outcome:
    """An attack, or a part of one.

    Parameters
    ----------
    name : str
        The module's.
    promise : str
        What users can rely on: a sentence.
    test : str
        The pytest node that holds a slice of it.
    figures : dict
        What was done and measured. Parts of an attack are joined: integers are counts, which are
        added; floats are measurements, of which the largest stays; of strings the last stays.
    failures : tuple of str
        Each with the command that makes it again. Empty where the promise held. What stands before
        " | ", if there is such, is its kind: of parts that are joined each kind stays once.
    seconds : float
        How long it took.
    command : str
        What runs this attack again.
    """

    name: str
    promise: str
    test: str
    figures: Figures
    failures: tuple[str, ...]
    seconds: float
    command: str

    def line(self) -> str:
        """Return it as a line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, values: dict) -> Outcome:
        """Return what a line of JSON holds, read."""
        return cls(**{**values, "failures": tuple(values["failures"])})


def joined(parts: Iterable[Outcome]) -> list[Outcome]:
    """Return one outcome for each attack, made of its parts, in the order they came."""
    found: dict[str, Outcome] = {}
    for part in parts:
        before = found.get(part.name)
        found[part.name] = part if before is None else _sum(before, part)
    return list(found.values())


def added(a: Figures, b: Figures) -> Figures:
    """Return the figures of two parts together."""
    figures = dict(a)
    for name, value in b.items():
        before = figures.get(name)
        if before is None or isinstance(value, str) or isinstance(before, str):
            figures[name] = value
        elif isinstance(value, float) or isinstance(before, float):
            figures[name] = max(float(before), float(value))
        else:
            figures[name] = before + value
    return figures


def _sum(a: Outcome, b: Outcome) -> Outcome:
    figures = added(a.figures, b.figures)
    failures = {text.partition(" | ")[0]: text for text in (*b.failures, *a.failures)}
    promise, test = b.promise or a.promise, b.test or a.test
    seconds = a.seconds + b.seconds
    kept = tuple(sorted(failures.values()))[:FAILURES_KEPT]
    return Outcome(a.name, promise, test, figures, kept, seconds, b.command)
