"""The record of an update rule: what it is, for all who ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from operator import attrgetter
from typing import Any

from fastnn._utils import validation as numbers
from fastnn._utils.validation import Range
from fastnn.kernels.calls.update_routine import (
    AN_ARRAY,
    DICTS,
    Counted,
    Flag,
    InRange,
    OneOf,
    UpdateRoutine,
)
from fastnn.kernels.calls.update_routine import Check as Plain

# Returns a setting, given its name and value, as the kernel takes it; raises TypeError or
# ValueError.
Check = Callable[[str, Any], Any]


def count(name: str, value: Any) -> int:
    """Return the number of an update, an integer of at least 1."""
    return value if type(value) is int and 0 < value < 1 << 63 else numbers.integer(name, value, 1)


def flag(name: str, value: Any) -> bool:
    """Return whether a value is true."""
    return bool(value)


class Choice:
    """A check for one of some names; the kernel gets what is given for it here."""

    def __init__(self, **of: Any) -> None:
        self.of = of

    def __call__(self, name: str, value: Any) -> Any:
        """Return what is given for a name."""
        return self.of[numbers.one_of(name, value, tuple(self.of))]


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
        them (:func:`count`, :func:`flag`, :class:`Choice`). One of them is ``"lr"``.
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

    @cached_property
    def of_arrays(self) -> UpdateRoutine:
        """The rule as machine code, which takes settings as :meth:`checked` returns them."""
        return UpdateRoutine(self.name, AN_ARRAY)

    @cached_property
    def of_dicts(self) -> UpdateRoutine:
        """The same for dicts of arrays."""
        return UpdateRoutine(self.name, DICTS)

    @cached_property
    def function(self) -> UpdateRoutine:
        """The rule as machine code that checks settings as its function is given them."""
        return UpdateRoutine(self.name, AN_ARRAY, [_plain(k, 0) for k in self.settings.values()])

    @cached_property
    def step(self) -> UpdateRoutine:
        """The rule as machine code that takes and checks what :attr:`read` returns."""
        return UpdateRoutine(self.name, DICTS, [_plain(k, 1) for k in self.settings.values()])

    @cached_property
    def read(self) -> Callable[[Any], tuple[Any, ...]]:
        """What returns the states of an optimizer, then the settings of its last update."""
        counted = ("iter",) if self.counters else ()
        return attrgetter(*self.states, *counted, *self.attributes)

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


def _plain(kind: Range | Check, added: int) -> Plain:
    """Return the check of a setting that needs no other if it is as usual."""
    if isinstance(kind, Range):
        return InRange(kind.low, kind.high)
    if isinstance(kind, Choice):
        return OneOf(kind.of)
    return Counted(added) if kind is count else Flag()


def _check(kind: Range | Check) -> tuple[float, float, Check]:
    """Return the floats that need no further check, from the lowest to the end, and the check."""
    if isinstance(kind, Range):
        return kind.low, kind.high, lambda name, value: numbers.number(name, value, kind)
    return inf, inf, kind
