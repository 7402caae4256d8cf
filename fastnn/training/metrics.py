"""What a network is measured by besides its loss: accuracy of kinds, errors, functions of users."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastnn._utils.types import Array, Float64s, Samples
from fastnn._utils.validation import brief
from fastnn.layers.record import takes
from fastnn.ops._targets import largest, right_classes

Function = Callable[..., Any]  # of predictions and targets
# What users give: names, functions, or both.
Metrics = str | Function | Iterable[str | Function] | Mapping[str, Function]

_TOP = re.compile(r"top_([1-9][0-9]{0,8})_accuracy")
_NAMES = "accuracy, top_5_accuracy (any number), mean_absolute_error, mean_squared_error, r2"
_TAKEN = frozenset({"loss", "lr", "seconds", "epoch"})  # columns of what is recorded


class Sums(Protocol):
    """What is kept of the samples so far."""

    def add(self, scores: Array, t: Samples, weights: Float64s | None) -> None:
        """Take in some samples, at least one, with their weights, if they have any."""

    def value(self) -> float:
        """Return the metric of all samples."""


@dataclass(frozen=True)
class Metric:
    """A metric by its name.

    Attributes
    ----------
    name : str
    sums : function
        Returns new sums.
    of : {"classes", "numbers", "any"}
        What targets it is for.
    """

    name: str
    sums: Callable[[], Sums]
    of: str


def _is_in_top(k: int, scores: Array, t: Samples) -> NDArray[np.bool_]:
    """Say of which samples fewer than k scores are above the target's.

    Of equal scores the first is above the others, and NaN above all, as for argmax.
    """
    labels = np.asarray(largest(t), np.int64)[:, np.newaxis]
    of_target = np.take_along_axis(scores, labels, axis=1)
    before = np.arange(scores.shape[1]) < labels
    above = ~(scores <= of_target) | (before & (scores == of_target))
    found: NDArray[np.bool_] = above.sum(axis=1) < k
    return found


class _Share:
    """The share of samples of which a function is true."""

    def __init__(self, function: Callable[[Array, Samples], NDArray[np.bool_]]) -> None:
        self._function, self._hits, self._count = function, 0.0, 0.0

    def add(self, scores: Array, t: Samples, weights: Float64s | None) -> None:
        found = self._function(scores, t)
        self._hits += int(np.count_nonzero(found)) if weights is None else weights[found].sum()
        self._count += len(scores) if weights is None else weights.sum()

    def value(self) -> float:
        return float(self._hits / self._count)


class _Mean:
    """The mean of a function of the differences, over samples and outputs."""

    def __init__(self, function: Callable[[Array], Array]) -> None:
        self._function, self._sum, self._count = function, 0.0, 0.0

    def add(self, scores: Array, t: Samples, weights: Float64s | None) -> None:
        found = self._function(np.subtract(scores, t, dtype=np.float64))
        if weights is None:
            self._sum += found.sum()
            self._count += scores.size
        else:
            self._sum += weights @ found.sum(axis=1)
            self._count += weights.sum() * found.shape[1]

    def value(self) -> float:
        return float(self._sum / self._count)


class _R2:
    """1 - squared errors / squared deviations from the mean, averaged over outputs.

    Of targets that are all equal it is 1 if there is no error, else 0, as scikit-learn's
    ``r2_score`` has it. With weights both sums are weighted, and so is the mean. Deviations of
    parts are merged by the formula of Chan, Golub and LeVeque (1979), so that large means cancel no
    digits.
    """

    def __init__(self) -> None:
        self._samples, self._count = 0, 0.0
        self._mean, self._deviations, self._errors = 0.0, 0.0, 0.0

    def add(self, scores: Array, t: Samples, weights: Float64s | None) -> None:
        t = np.asarray(t, np.float64)
        self._samples += len(t)
        if weights is None:
            n, mean = float(len(t)), t.mean(axis=0)
            deviations, errors = (np.square(t - each).sum(axis=0) for each in (mean, scores))
        else:
            n = float(weights.sum())
            if n == 0:
                return
            mean = weights @ t / n
            deviations, errors = (weights @ np.square(t - each) for each in (mean, scores))
        shift, total = mean - self._mean, self._count + n
        self._deviations += deviations + shift**2 * (self._count * n / total)
        self._mean += shift * (n / total)
        self._errors += errors
        self._count = total

    def value(self) -> float:
        if self._samples < 2:
            return math.nan
        errors, deviations = np.asarray(self._errors), np.asarray(self._deviations)
        constant = deviations == 0
        shares = errors / np.where(constant, 1.0, deviations)
        shares = np.where(constant, np.where(errors > 0, 1.0, errors), shares)
        return float(np.mean(1 - shares))


class _Own:
    """The value of a user's function of all predictions and targets.

    One with a parameter `sample_weight` is given weights by this name, where samples have any.
    """

    def __init__(self, name: str, function: Function) -> None:
        self._name, self._function = name, function
        self._parts: list[tuple[Array, Samples]] = []
        self._weights: list[Float64s] = []
        self._takes_weights = _takes_weights(function)

    def add(self, scores: Array, t: Samples, weights: Float64s | None) -> None:
        self._parts.append((scores, t))
        if weights is not None and self._takes_weights:
            self._weights.append(weights)

    def value(self) -> float:
        predictions, targets = (
            np.concatenate([np.asarray(each) for each in part])
            for part in zip(*self._parts, strict=True)
        )
        if predictions.shape[1:] != targets.shape[1:] == (1,):
            targets = targets[:, 0]  # labels in a column
        named = {"sample_weight": np.concatenate(self._weights)} if self._weights else {}
        try:
            found = self._function(predictions, targets, **named)
        except Exception as error:
            kind = type(error).__name__
            raise RuntimeError(f"metrics: {self._name} raised {kind}: {error}") from error
        value: Any = np.asarray(found)
        if value.size != 1 or value.dtype.kind not in "fiub":
            raise TypeError(f"metrics: expected a number from {self._name}, got {brief(found)}")
        return float(value.reshape(()))


def _takes_weights(function: Function) -> bool:
    try:
        return "sample_weight" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some of C have no signature
        return False


def _absolute(differences: Array) -> Array:
    return np.abs(differences)


def built_in(name: str) -> Metric | None:
    """Return the metric that a name says; None if it says none."""
    top = _TOP.fullmatch(name)
    if top:
        return Metric(name, lambda: _Share(partial(_is_in_top, int(top[1]))), "classes")
    found: dict[str, Metric] = {
        "accuracy": Metric(name, lambda: _Share(right_classes), "classes"),
        "mean_absolute_error": Metric(name, lambda: _Mean(_absolute), "numbers"),
        "mean_squared_error": Metric(name, lambda: _Mean(np.square), "numbers"),
        "r2": Metric(name, _R2, "numbers"),
    }
    return found.get(name)


def is_name(name: str) -> bool:
    """Say whether a metric may have this name."""
    return name.isidentifier() and name not in _TAKEN and not name.startswith("val_")


def is_smaller_better(monitor: str) -> bool | None:
    """Say whether what is recorded under a name is the better the smaller; None: not known."""
    name = f"_{monitor.removeprefix('val_')}"
    if name.endswith(("_loss", "_error")):
        return True
    return False if name.endswith(("_accuracy", "_score", "_r2")) else None


def metrics_of(given: Any) -> tuple[Metric, ...]:
    """Return the metrics that an argument says.

    Parameters
    ----------
    given : str, function, iterable of these, or mapping of str to function
        Names, and functions that have one, or are given one as keys.

    Raises
    ------
    TypeError, ValueError
        If it is not that, or a name is unknown, taken or there twice.
    """
    if isinstance(given, Mapping):
        items = [(name, value) for name, value in given.items()]
    else:
        one = isinstance(given, str) or callable(given)
        if not (one or isinstance(given, Iterable)):
            raise TypeError(f"metrics: expected a list of names or functions, got {given!r}")
        items = [(None, value) for value in ([given] if one else given)]
    found: dict[str, Metric] = {}
    for name, value in items:
        metric = _metric(name, value)
        if metric.name in found:
            raise ValueError(f"metrics: expected different names, got {metric.name} twice")
        found[metric.name] = metric
    return tuple(found.values())


def _metric(name: Any, value: Any) -> Metric:
    if isinstance(value, str):
        metric = built_in(value)
        if metric is None or name not in (None, value):
            got = value if name in (None, value) else f"{name}: {value}"
            raise ValueError(
                f"metrics: expected names among {_NAMES}, or functions of (predictions, targets), "
                f"got {got!r}"
            )
        return metric
    if not callable(value):
        raise TypeError(f"metrics: expected names or functions, got {value!r}")
    name = getattr(value, "__name__", None) if name is None else name
    if not isinstance(name, str) or not is_name(name) or built_in(name):
        what = "" if name is None else f" with the name {name!r}, which is none, or taken"
        raise ValueError(
            "metrics: expected functions that have names of their own, or {'name': function}, "
            f"got {value!r}{what}"
        )
    return Metric(name, lambda: _Own(name, value), "any")


def expect_for(network: Any, metrics: Iterable[Metric]) -> None:
    """Raise ValueError unless metrics are for networks like this one."""
    kind, outputs = takes(network), network.output_size
    for metric in metrics:
        if metric.of == "numbers" and kind in ("classes", "answers"):
            raise ValueError(
                f'metrics: {metric.name} is for networks with loss="mean_squared_error"; this one '
                f"has {kind if kind == 'classes' else 'answers, yes or no'}"
            )
        if metric.of == "classes" and kind == "answers" and metric.name != "accuracy":
            raise ValueError(f"metrics: {metric.name} is for networks with classes, got answers")
        if metric.name == "accuracy" and kind == "answers":
            continue  # which is recorded anyway
        if metric.of != "classes" or not isinstance(outputs, int):
            continue
        top = _TOP.fullmatch(metric.name)
        least = int(top[1]) + 1 if top else 2
        if outputs < least:
            raise ValueError(
                f"metrics: {metric.name} is for networks of at least {least} outputs, got {outputs}"
            )
