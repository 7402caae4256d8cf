"""The record of an update rule: what it is, for all who ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from operator import attrgetter
from typing import Any

from fastnn._utils import validation as numbers
from fastnn._utils.validation import Range

# Returns a setting, given its name and value, as the kernel takes it; raises TypeError or
# ValueError.
Check = Callable[[str, Any], Any]


def count(name: str, value: Any) -> int:
    """Return the number of an update, an integer of at least 1."""
    return value if type(value) is int and 0 < value < 1 << 63 else numbers.integer(name, value, 1)


def flag(name: str, value: Any) -> bool:
    """Return whether a value is true."""
    return bool(value)


def choice(**of: Any) -> Check:
    """Return a check for one of some names; the kernel gets what is given for it here."""
    names = tuple(of)

    def check(name: str, value: Any) -> Any:
        return of[numbers.one_of(name, value, names)]

    return check


@dataclass(frozen=True)
class Rule:
    """What an update rule is, for all who ask.

    Attributes
    ----------
    name : str
        Of its kernel, its reference and its checked function, such as ``"lion_"``.
    states : tuple of str
        What it keeps for each parameter, in the kernel's order: arrays of the parameter's shape,
        zero before the first update.
    settings : mapping of str to Range or Check
        Its other arguments, in the kernel's order: numbers in a range, or what a check makes of
        them (:func:`count`, :func:`flag`, :func:`choice`). One of them is ``"lr"``.
    cost : int
        Of an element, counted in elements of a cheap elementwise loop.
    counters : tuple of str
        Those of the settings that go on from update to update by themselves, the first ones:
        ``"step"``, the number of the update, and others after it; see
        :meth:`fastnn.optimizers.Optimizer._counters`.
    sizes : tuple of str
        Those of the states that are never negative, such as means of squares.
    attributes : tuple of str
        The settings but ``"step"``: so the rule's optimizer calls them too.
    """

    name: str
    states: tuple[str, ...]
    settings: Mapping[str, Range | Check]
    cost: int
    counters: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = field(init=False, repr=False)
    _read: Callable[[Any], tuple[Any, ...]] = field(init=False, repr=False)
    _checks: tuple[tuple[str, float, float, Check], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        checks = tuple((name, *_check(kind)) for name, kind in self.settings.items())
        object.__setattr__(self, "_checks", checks)
        attributes = tuple(name for name in self.settings if name != "step")
        object.__setattr__(self, "attributes", attributes)
        object.__setattr__(self, "_read", attrgetter(*attributes))

    def check(self, name: str, value: Any) -> Any:
        """Return one setting as the kernel takes it, checked."""
        return _check(self.settings[name])[2](name, value)

    def settings_of(self, optimizer: Any) -> tuple[Any, ...]:
        """Return the settings of an optimizer's next update; see :meth:`checked`."""
        values = self._read(optimizer)
        return self.checked((optimizer.iter + 1, *values) if self.counters else values)

    def checked(self, values: Iterable[Any]) -> tuple[Any, ...]:
        """Return the settings, which are given in the kernel's order, as it takes them.

        Raises
        ------
        TypeError, ValueError
            If one is of another type, or out of its range.
        """
        return tuple(
            [
                value if type(value) is float and low <= value < high else check(name, value)
                for value, (name, low, high, check) in zip(values, self._checks)  # noqa: B905 (strict takes time)
            ]
        )


def _check(kind: Range | Check) -> tuple[float, float, Check]:
    """Return the floats that need no further check, from the lowest to the end, and the check."""
    if isinstance(kind, Range):
        return kind.low, kind.high, lambda name, value: numbers.number(name, value, kind)
    return inf, inf, kind
