"""Comparison of gradients with differences, and what is thought of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn._utils.types import Float64s, Mask

# Thresholds of the notes.
HAPPY, OKAY, WRONG = 1e-7, 1e-4, 1e-2
SMALL = 1e-10  # "roughly 1e-10 and smaller in absolute value is worrying"
DEEP = 10  # layers, from which on an error of 1e-2 may be rounding that has added up

_RESOLUTION = 1e-2  # an uncertainty above this share of a gradient tells nothing

# Verdicts on parameters of which no entry with a gradient could be judged.
UNJUDGED = ("zero", "too small to tell", "on a kink")
_ROUNDED = "happy, rounding apart"
_PASSING = ("happy", _ROUNDED, "okay", "okay at this depth", *UNJUDGED)


def relative_error(a: ArrayLike, n: ArrayLike) -> Float64s:
    """Relative error of two gradients, |a - n| / max(|a|, |n|), elementwise.

    0 where both are zero; at most 2. The formula of the CS231n notes ("Neural networks 3",
    gradient checks), in float64.

    Parameters
    ----------
    a, n : array_like
        Gradients by backpropagation and by differences, in either order; broadcast together.

    Returns
    -------
    ndarray of float64
        NaN where one of them is not finite.

    Raises
    ------
    ValueError
        If shapes do not fit together.

    Examples
    --------
    >>> from fastnn.gradient_check import relative_error
    >>> relative_error([1.0, 0.0, 0.0], [0.9, 0.0, 1e-30])
    array([0.1, 0. , 1. ])
    """
    a, n = np.asarray(a, np.float64), np.asarray(n, np.float64)
    size = np.maximum(np.abs(a), np.abs(n))
    with np.errstate(invalid="ignore"):  # inf - inf, inf / inf
        return np.asarray(np.abs(a - n) / np.where(size == 0, 1.0, size))


def verdict(error: float, *, kinks: bool, depth: int = 1) -> str:
    """What the CS231n notes think of a relative error.

    Above 1e-2 the gradient is probably wrong, above 1e-4 one should feel uncomfortable, and up
    to 1e-7 be happy. In between, an error is okay if the objective has kinks, such as ReLU's,
    and too high if it has none. Errors add up from layer to layer: up to 1e-2 may be okay in a
    network of ten, with kinks or without.

    Parameters
    ----------
    error : float
        Relative error.
    kinks : bool
        Whether the objective has kinks.
    depth : int
        Layers with weights.

    Returns
    -------
    str
        "happy", "okay", "too high without kinks", "okay at this depth", "uncomfortable" or
        "probably wrong"; NaN is wrong.

    Examples
    --------
    >>> from fastnn.gradient_check import verdict
    >>> verdict(3e-6, kinks=True), verdict(3e-6, kinks=False), verdict(0.3, kinks=True)
    ('okay', 'too high without kinks', 'probably wrong')
    """
    if error <= HAPPY:
        return "happy"
    if error <= OKAY and kinks:
        return "okay"
    if error <= WRONG and depth >= DEEP:
        return "okay at this depth"
    if error <= WRONG:
        return "too high without kinks" if error <= OKAY else "uncomfortable"
    return "probably wrong"


@dataclass(frozen=True)
class Kink:
    """A unit that was on one side of its kink at one end of a difference, and not at the other.

    Attributes
    ----------
    parameter : str
    index : tuple of int
        The entry of the parameter that was moved.
    step : float
        How far, to both sides.
    layer : str
    sample : int
        Of those that were checked, at least 0.
    unit : tuple of int
        Place in the layer's output: (unit,), or (channel, row, column).
    """

    parameter: str
    index: tuple[int, ...]
    step: float
    layer: str
    sample: int
    unit: tuple[int, ...]

    def __str__(self) -> str:
        unit = ", ".join(map(str, self.unit))
        return (
            f"{entry(self.parameter, self.index)} moved by {self.step:.0e} crosses the kink of "
            f"{self.layer}, unit {unit}, sample {self.sample}"
        )


@dataclass(frozen=True)
class Worst:
    """The entry of a parameter with the worst error.

    Attributes
    ----------
    parameter : str
    index : tuple of int
    analytic, numerical : float
        Its gradient by backpropagation and by differences.
    error : float
        Their relative error.
    step : float
        Step of the difference.
    """

    parameter: str
    index: tuple[int, ...]
    analytic: float
    numerical: float
    error: float
    step: float


def entry(key: str, index: tuple[int, ...]) -> str:
    """Return the name of an entry, such as ``W1[3, 0]``."""
    return f"{key}[{', '.join(map(str, index))}]" if index else key


@dataclass(frozen=True, eq=False)
class ParameterCheck:
    """Some entries of a parameter: their gradients, and their differences for each step.

    An entry is judged by the step whose difference is the surest: that agrees best with the
    next smaller step's, with what rounding can do to it added, and crossed no kink. How the
    gradient compares plays no part in the choice. An error within that uncertainty counts for
    nothing; if the uncertainty is above a hundredth of the gradient, and the two agree within
    it, the gradient is too small to tell.

    Attributes
    ----------
    key : str
        Name of the parameter.
    indices : list of tuple of int
        The E entries.
    steps : ndarray, shape (S,)
        Steps, largest first.
    analytic : ndarray, shape (E,)
        Gradients by backpropagation.
    numerical : ndarray, shape (E, S)
        Centred differences.
    crossed : ndarray of bool, shape (E, S)
        Where a difference crossed a kink.
    rounding : float
        By how much rounding changes the objective.
    kinks : bool
        Whether the objective has kinks.
    depth : int
        Layers with weights.
    """

    key: str
    indices: list[tuple[int, ...]]
    steps: Float64s
    analytic: Float64s
    numerical: Float64s
    crossed: Mask
    rounding: float
    kinks: bool
    depth: int

    @cached_property
    def errors(self) -> Float64s:
        """Relative errors, shape (E, S), also of differences that crossed a kink."""
        return relative_error(self.analytic[:, np.newaxis], self.numerical)

    @cached_property
    def uncertainty(self) -> Float64s:
        """How far differences may be off, shape (E, S); infinite where they crossed a kink."""
        spread = np.zeros_like(self.numerical)
        if len(self.steps) > 1:
            with np.errstate(invalid="ignore"):
                spread[:, :-1] = np.abs(np.diff(self.numerical, axis=1))
            spread[:, -1] = spread[:, -2]
        # The next smaller step has ten times the rounding, which may hide truncation. Both are
        # but estimates: twice as much is allowed.
        unsure: Float64s = 2 * (spread + 10 * self.rounding / self.steps)
        return np.where(self.crossed | np.isnan(unsure), np.inf, unsure)

    @cached_property
    def best(self) -> NDArray[np.int64]:
        """Which step each entry is judged by, shape (E,)."""
        return np.asarray(self.uncertainty.argmin(axis=1))

    def _at_best(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.take_along_axis(values, self.best[:, np.newaxis], axis=1)[:, 0]

    @cached_property
    def on_kink(self) -> Mask:
        """Entries whose differences crossed a kink at every step; they are not judged."""
        return np.asarray(self.crossed.all(axis=1))

    @cached_property
    def zero(self) -> Mask:
        """Entries whose gradients are zero both ways."""
        nothing = (self.analytic == 0) & np.all(self.numerical == 0, axis=1)
        return np.asarray(nothing & ~self.on_kink)

    @cached_property
    def _explained(self) -> Mask:
        with np.errstate(invalid="ignore"):
            away = np.abs(self.analytic - self._at_best(self.numerical))
        return np.asarray(away <= self._at_best(self.uncertainty)) & ~self.on_kink

    @cached_property
    def small(self) -> Mask:
        """Entries whose gradients are too small to tell; they are not judged."""
        size = np.maximum(np.abs(self.analytic), np.abs(self._at_best(self.numerical)))
        unsure = self._at_best(self.uncertainty) > _RESOLUTION * size
        return np.asarray(~self.zero & ~self.on_kink & self._explained & (unsure | (size < SMALL)))

    @cached_property
    def _judged(self) -> list[tuple[float, float, int]]:
        """What counts of the error, the error, and the entry, for those that are judged."""
        errors = self._at_best(self.errors)
        counted = np.where(self._explained, np.minimum(errors, HAPPY), errors)
        counted = np.where(np.isnan(counted), np.inf, counted)
        rows = np.flatnonzero(~self.small & ~self.on_kink)
        return [(float(counted[i]), float(errors[i]), int(i)) for i in rows]

    @property
    def judged(self) -> int:
        """Number of entries that are judged, those that are zero included."""
        return len(self._judged)

    @property
    def counted(self) -> tuple[float, float]:
        """The largest error that counts, and the error itself, of the judged entries."""
        return max(self._judged)[:2]

    @property
    def worst(self) -> Worst | None:
        """The judged entry with the largest error that uncertainty does not explain."""
        if not self._judged:
            return None
        _, error, i = max(self._judged)
        numerical = float(self._at_best(self.numerical)[i])
        step = float(self.steps[self.best[i]])
        return Worst(self.key, self.indices[i], float(self.analytic[i]), numerical, error, step)

    @property
    def verdict(self) -> str:
        """That of :func:`verdict` on the worst entry.

        "happy, rounding apart" if the error is larger, but no larger than it is uncertain;
        "zero", "too small to tell" or "on a kink" if no entry with a gradient can be judged.
        """
        if self.judged == self.zero.sum():
            if self.small.any():
                return "too small to tell"
            return "on a kink" if self.on_kink.any() else "zero"
        counted, error = self.counted
        if counted <= HAPPY < error:
            return _ROUNDED
        return verdict(counted, kinks=self.kinks, depth=self.depth)

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against the gradient."""
        return self.verdict in _PASSING
