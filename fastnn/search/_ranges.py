"""Ranges of hyper-parameters."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from typing import Any, ClassVar, Literal

from fastnn._utils import validation as numbers

__all__ = ["Choice", "Int", "Log", "Range", "Uniform"]

BORDER = 0.05  # of a range's span: so near to an end, a better value may lie beyond it

_ROUNDING = 1e-9  # of drawn values, relative

_REAL = numbers.Range(-math.inf, math.inf, "a finite number")


class Range(ABC):
    """What a hyper-parameter may be: base of :class:`Log`, :class:`Uniform` and so on."""

    @abstractmethod
    def border(self, value: Any) -> Literal["lower", "upper"] | None:
        """Return at which end of the range a value lies; None if at none.

        Parameters
        ----------
        value : object
            One of the range.
        """

    @abstractmethod
    def narrowed(
        self, values: Sequence[Any], margin: float = 0.1, within: Range | None = None
    ) -> Range:
        """Return a smaller range about good values.

        Parameters
        ----------
        values : sequence
            The good ones, the best one first.
        margin : float
            How far it reaches beyond them, as a share of this range's span.
        within : Range, optional
            What it stays within: a wider range of the same kind; by default this one.

        Returns
        -------
        Range
        """


class _Span(Range):
    """Numbers from `low` to `high`, on a linear or logarithmic scale."""

    low: Any
    high: Any
    # Whether a narrowed range may reach beyond an end. Ends on a linear scale are limits as a
    # rule (0 and 1 of a share), those of a logarithmic one powers of ten that somebody guessed.
    _open: ClassVar[bool] = False

    def __new__(cls, *ends: Any, **settings: Any) -> _Span:
        if len(ends) == 1 and isinstance(ends[0], (list, tuple)):
            wanted = f"{cls.__name__}({', '.join(map(repr, ends[0]))})"
            raise TypeError(f"low, high: expected two numbers, {wanted}, got {ends[0]!r} as one")
        return super().__new__(cls)

    def _scaled(self, value: float) -> float:
        return value

    def _unscaled(self, value: float) -> float:
        return value

    def _new(self, low: float, high: float) -> Range:
        return type(self)(low, high)

    def _position(self, value: float) -> float:
        """Return where a value lies: 0 at the lower end, 1 at the upper one."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        return (self._scaled(value) - low) / (high - low) if low < high else 0.5

    def _at(self, position: float) -> float:
        low, high = self._scaled(self.low), self._scaled(self.high)
        return self._unscaled(low + position * (high - low))

    def border(self, value: Any) -> Literal["lower", "upper"] | None:
        """Return at which end a value lies, within 5 % of the span on the range's scale."""
        position = self._position(value)
        if position <= BORDER:
            return "lower"
        return "upper" if position >= 1 - BORDER else None

    def narrowed(
        self, values: Sequence[Any], margin: float = 0.1, within: Range | None = None
    ) -> Range:
        """Return the span of good values, with a margin; see :meth:`Range.narrowed`.

        If the best value lies at an end of this range, the new one reaches as far beyond that end
        as it does inside. A logarithmic range may leave `within` for that, others may not.
        """
        if not values:
            raise ValueError("values: expected at least one value, got none")
        margin = numbers.fraction("margin", margin)
        within = self if within is None else within
        if not isinstance(within, type(self)):
            raise TypeError(f"within: expected a range like {self!r}, got {within!r}")
        positions = [self._position(value) for value in values]
        low, high = min(positions) - margin, max(positions) + margin
        end = self.border(values[0])
        if end == "lower":
            low = -min(high, 1.0)
        elif end == "upper":
            high = 2 - max(low, 0.0)
        new_low, new_high = self._at(low), self._at(high)
        digits = _digits(new_low, new_high)  # a few are read more easily
        new_low = _rounded(new_low, digits, ROUND_FLOOR)
        new_high = _rounded(new_high, digits, ROUND_CEILING)
        if not (self._open and end == "lower"):
            new_low = max(new_low, min(self.low, within.low))
        if not (self._open and end == "upper"):
            new_high = min(new_high, max(self.high, within.high))
        return self._new(new_low, new_high)


def _digits(low: float, high: float) -> int:
    """Return how many digits tell about a hundredth of a span on a linear scale, at least 3."""
    if low == high:
        return 17
    return 3 + max(0, round(-math.log10((high - low) / max(abs(low), abs(high)))))


def _rounded(value: float, digits: int, rounding: str) -> float:
    return float(Context(prec=digits, rounding=rounding).create_decimal_from_float(value))


def _ordered(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"high: expected a number above low, {low!r}, got {high!r}")


@dataclass(frozen=True, repr=False)
class Uniform(_Span):
    """Numbers in [low, high], all alike: for a dropout ratio, say.

    Parameters
    ----------
    low, high : float

    Raises
    ------
    TypeError, ValueError
        If they are not finite, or `low` is not below `high`.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _set(self, low=numbers.number("low", self.low, _REAL))
        _set(self, high=numbers.number("high", self.high, _REAL))
        for name in ("low", "high"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name}: expected a finite number, got {getattr(self, name)}")
        _ordered(self.low, self.high)

    def __repr__(self) -> str:
        return f"Uniform({self.low:g}, {self.high:g})"


@dataclass(frozen=True, repr=False)
class Log(_Span):
    """Numbers in [low, high], all powers of ten alike: 10 ** uniform(log10(low), log10(high)).

    For what acts as a factor: learning rates, strengths of a penalty (CS231n notes, "Neural
    networks 3", hyper-parameter ranges).

    Parameters
    ----------
    low, high : float
        Above 0.

    Raises
    ------
    TypeError, ValueError
        If they are out of their range, or `low` is not below `high`.

    Examples
    --------
    >>> from fastnn.search import Log
    >>> lr = Log(1e-6, 1e-2)
    >>> lr.border(0.0081)  # the last twentieth of four powers of ten begins at 0.0063
    'upper'
    >>> lr.narrowed([0.001, 0.0007, 0.0015])
    Log(0.000278, 0.00377)
    """

    low: float
    high: float
    _open: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _set(self, low=numbers.positive("low", self.low))
        _set(self, high=numbers.positive("high", self.high))
        _ordered(self.low, self.high)

    def _scaled(self, value: float) -> float:
        return math.log10(value)

    def _unscaled(self, value: float) -> float:
        return float(10**value)

    def __repr__(self) -> str:
        return f"Log({self.low:g}, {self.high:g})"


@dataclass(frozen=True, repr=False)
class Int(_Span):
    """Integers from low to high, both included: units, layers, a batch size.

    Parameters
    ----------
    low, high : int
    log : bool
        Whether all powers of ten are alike, as in :class:`Log`; `low` is above 0 then.

    Raises
    ------
    TypeError, ValueError
        If they are no integers, or `low` is above `high`.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        low = numbers.integer("low", self.low, 1 if self.log else -(2**53), 2**53)
        _set(self, low=low, high=numbers.integer("high", self.high, low, 2**53))

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def _unscaled(self, value: float) -> float:
        return float(10**value) if self.log else value

    def _new(self, low: float, high: float) -> Int:
        return Int(math.floor(low), math.ceil(high), self.log)

    def __repr__(self) -> str:
        return f"Int({self.low}, {self.high}{', log=True' if self.log else ''})"


@dataclass(frozen=True, repr=False, init=False)
class Choice(Range):
    """One of several values.

    Parameters
    ----------
    *options : str, bool, int, float or None
        At least one, no two alike.

    Raises
    ------
    TypeError, ValueError
        If they are not as above.
    """

    options: tuple[str | bool | int | float | None, ...]

    def __init__(self, *options: str | bool | int | float | None) -> None:
        if not options:
            raise ValueError("options: expected at least one, got none")
        if len(options) == 1 and isinstance(options[0], (list, tuple, set, dict)):
            wanted = f"Choice({', '.join(map(repr, options[0]))})"
            raise TypeError(
                f"options: expected each by itself, {wanted}, got {options[0]!r} as one"
            )
        for option in options:
            if not isinstance(option, (str, bool, int, float, type(None))):
                raise TypeError(
                    f"options: expected strings, numbers, truth values or None, got {option!r}; "
                    "give the name of such a thing, and look it up in the training"
                )
            if option != option:
                raise ValueError("options: expected no NaN, which equals nothing, not even itself")
        if len(set(options)) < len(options):
            raise ValueError(f"options: expected no two alike, got {options!r}")
        _set(self, options=options)

    def border(self, value: Any) -> None:
        """Return None: choices have no ends."""
        return None

    def narrowed(
        self, values: Sequence[Any], margin: float = 0.1, within: Range | None = None
    ) -> Choice:
        """Return those that are among good values; see :meth:`Range.narrowed`."""
        return Choice(*(option for option in self.options if option in values))

    def __repr__(self) -> str:
        return f"Choice({', '.join(map(repr, self.options))})"


def _set(range_: Range, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(range_, name, value)


_KINDS: dict[str, type[Range]] = {kind.__name__: kind for kind in (Choice, Int, Log, Uniform)}


def checked(ranges: Any) -> dict[str, Range]:
    """Return ranges by name; raise TypeError or ValueError if they are none."""
    if not isinstance(ranges, Mapping) or not ranges:
        raise TypeError(f"ranges: expected a dict of names and ranges, got {ranges!r}")
    for name, range_ in ranges.items():
        if not isinstance(name, str):
            raise TypeError(f"ranges: expected names, got {name!r}")
        if type(range_) not in _KINDS.values():
            raise TypeError(
                f"ranges: {name}: expected Log, Uniform, Int or Choice, got {range_!r}"
                + _hint(range_)
            )
    return dict(ranges)


def _hint(given: Any) -> str:
    """Return which range stands for a value."""
    if isinstance(given, (list, tuple)):
        values = ", ".join(map(repr, given))
        kinds = ["Choice"]
        if len(given) == 2 and all(isinstance(end, (int, float)) for end in given):
            whole = all(isinstance(end, int) for end in given)
            kinds = ["Log", "Uniform", *(["Int"] if whole else []), *kinds]
        return f"; as {' or '.join(f'{kind}({values})' for kind in kinds)}"
    if isinstance(given, (str, bool, int, float)):
        return f"; a value that stays the same is one for the training, or Choice({given!r})"
    return ""


def to_json(range_: Range) -> list[Any]:
    """Return a range as what a file of JSON can hold."""
    return [type(range_).__name__, *asdict(range_).values()]  # type: ignore[call-overload]


def from_json(name: str, written: Any) -> Range:
    """Return the range that was written; raise TypeError or ValueError if there is none."""
    if not isinstance(written, (list, tuple)) or not written:
        raise TypeError(f"{name}: expected a list, got {written!r}")
    kind = _KINDS[numbers.one_of(name, written[0], tuple(_KINDS))]
    values = written[1:]
    if kind is Choice and len(values) == 1 and isinstance(values[0], (list, tuple)):
        (values,) = values
    try:
        return kind(*values)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None


def expect_value(name: str, value: Any, range_: Range) -> Any:
    """Return a value that a trial has drawn from a range; raise ValueError for others."""
    if isinstance(range_, Choice):
        good = value in range_.options
    else:
        assert isinstance(range_, _Span)
        ends = (
            end * (1 + sign * _ROUNDING) for end in (range_.low, range_.high) for sign in (1, -1)
        )
        low, *_, high = sorted(ends)
        good = isinstance(value, (int, float)) and low <= value <= high
    if not good:
        raise ValueError(f"{name}: expected a value of {range_!r}, got {value!r}")
    return value
