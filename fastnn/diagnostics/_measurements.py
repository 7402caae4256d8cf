"""What one measures of arrays during a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils.types import Array

_BINS = 40


_NARROW = 1e-13  # range of numbers of size 1 that has no room for so many bins


_MOST = 10_000


_LEVELS = 0.05, 0.25, 0.5, 0.75, 0.95


def update_ratio(
    before: Mapping[str, ArrayLike], after: Mapping[str, ArrayLike]
) -> dict[str, float]:
    """Return how large an update was beside what it changed: |after - before| / |before|.

    About 1e-3 is healthy for weights, by the CS231n notes ("Neural networks 3", ratio of
    weights:updates): far above it the learning rate is too high, far below it too low. It is the
    change by one step that counts, not the gradient, so that it holds for any optimizer.

    Parameters
    ----------
    before, after : dict of str to array_like
        The parameters before a step (copies, as steps change them in place) and after it.

    Returns
    -------
    dict of str to float
        Ratio of Euclidean norms; NaN where `before` is all zeros, as biases are at first.

    Raises
    ------
    TypeError, ValueError
        If one is no dict, or the two have different keys or shapes.

    Examples
    --------
    >>> from fastnn.diagnostics import update_ratio
    >>> update_ratio({"W1": [[3.0, 4.0]]}, {"W1": [[3.0, 4.005]]})["W1"].__round__(6)
    0.001
    """
    for name, given in (("before", before), ("after", after)):
        if not isinstance(given, Mapping):
            raise TypeError(f"{name}: expected a dict of parameters, got {given!r}")
    if before.keys() != after.keys():
        raise ValueError(f"after: expected parameters {[*before]}, got {[*after]}")
    ratios = {}
    for key in before:
        old, new = np.asarray(before[key], np.float64), np.asarray(after[key], np.float64)
        if old.shape != new.shape:
            raise ValueError(f"after: expected {key} of shape {old.shape}, got {new.shape}")
        with np.errstate(all="ignore"):  # parameters of a training that diverged
            size, change = _norm(old), _norm(new - old)
        ratios[key] = change / size if size else math.nan
    return ratios


def _norm(a: Array) -> float:
    # np.linalg.norm calls BLAS, whose threads then spin on the cores that the next steps need.
    return math.sqrt(np.square(a).sum())


@dataclass(frozen=True, eq=False)
class Distribution:
    """How values are distributed; NaN where none is finite.

    Attributes
    ----------
    mean, std : float
        Of the finite values.
    zeros : float
        Share of the values that are zero.
    magnitudes : ndarray, shape (5,)
        Quantiles of the absolute values, zeros left out: at 5, 25, 50, 75 and 95 %.
    counts, edges : ndarray, shapes (40,) and (41,)
        Histogram from the least to the largest finite value; wider where these are so near to
        each other that there is no room for 40 bins. This and the quantiles are of 10,000
        values, drawn at random, if there are more.
    """

    mean: float
    std: float
    zeros: float
    magnitudes: Array
    counts: Array
    edges: Array

    @classmethod
    def of(cls, values: ArrayLike) -> Distribution:
        """Return the distribution of the values of an array.

        Parameters
        ----------
        values : array_like
            Of any shape.
        """
        given = np.asarray(values).reshape(-1)
        finite = given[np.isfinite(given)]
        if finite.size == 0:
            nothing, counts = np.full(len(_LEVELS), math.nan), np.zeros(_BINS, np.int64)
            return cls(math.nan, math.nan, math.nan, nothing, counts, np.linspace(0, 1, _BINS + 1))
        some = finite
        if finite.size > _MOST:  # sorting all of them would take most of the time of a measurement
            some = finite[np.random.default_rng(0).integers(finite.size, size=_MOST)]
        counts, edges = _histogram(some, float(finite.min()), float(finite.max()))
        sizes = np.abs(some[some != 0])
        with np.errstate(over="ignore"):  # of float64 near its largest
            mean = float(finite.mean(dtype=np.float64))
            std = float(finite.std(dtype=np.float64))
        return cls(
            mean,
            std,
            float(np.mean(given == 0)),
            np.quantile(sizes, _LEVELS) if sizes.size else np.zeros(len(_LEVELS)),
            counts,
            edges,
        )


def _histogram(values: Array, low: float, high: float) -> tuple[Array, Array]:
    """Return counts and edges of bins from `low` to `high`, for any finite numbers."""
    # Scaled by a power of two, nothing over- or underflows on the way: low and high are within 1.
    exponent = math.frexp(max(abs(low), abs(high)))[1]
    low, high = math.ldexp(low, -exponent), math.ldexp(high, -exponent)
    if 0 < high - low < _NARROW:
        low, high = low - _NARROW, high + _NARROW
    scaled = np.ldexp(values.astype(np.float64), -exponent)
    counts, edges = np.histogram(scaled, _BINS, (low, high))
    with np.errstate(over="ignore"):
        return counts, np.nan_to_num(np.ldexp(edges, exponent))


class Measurements:
    """What was measured of a training; lists have an entry for each time.

    Attributes
    ----------
    steps, ratios, activations, gradients, dead, saturated, chance
        See :class:`fastnn.diagnostics.Monitor`.
    """

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.ratios: dict[str, list[float]] = {}
        self.activations: dict[str, list[Distribution]] = {}
        self.gradients: dict[str, list[Distribution]] = {}
        self.dead: dict[str, list[float]] = {}
        self.saturated: dict[str, list[float]] = {}
        self.chance = math.nan
