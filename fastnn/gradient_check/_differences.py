"""Centred differences of an objective, for several steps, and the kinks that they cross."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, SupportsFloat

import numpy as np

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array, Float64s, Int64s
from fastnn.gradient_check._compare import Kink, ParameterCheck
from fastnn.layers.record import nearest_record

STEPS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)

Pattern = dict[str, Array]


class Converted:
    """Arrays of floating-point numbers in another dtype; what was one array stays one.

    Parameters
    ----------
    dtype : dtype
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._made: dict[int, tuple[Array, Array]] = {}  # with the array, lest its id comes again

    def __call__(self, value: Any) -> Any:
        """Return an array in the dtype, a dict or list with its arrays so, others as they are."""
        if isinstance(value, dict):
            return {key: self(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)) and any(isinstance(v, np.ndarray) for v in value):
            return getattr(value, "_make", type(value))(map(self, value))
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            return value
        if id(value) not in self._made:
            self._made[id(value)] = value, value.astype(self._dtype)
        return self._made[id(value)][1]

    def all_of(self, layer: Any) -> None:
        """Convert the attributes of a layer."""
        for name, value in list(getattr(layer, "__dict__", {}).items()):
            new = self(value)
            if new is not value:
                setattr(layer, name, new)


@dataclass
class Objective:
    """A number that depends on parameters.

    Attributes
    ----------
    params : dict of str to ndarray
        Changed in place for each difference.
    value : function
        Returns the number; the same one whenever the parameters are the same.
    gradients : function
        Returns the gradient for each parameter.
    layers : dict of str to layer
        Those whose kinks are looked at.
    size : float
        That of the numbers which the value is made of, if they may be far larger than it.
    """

    params: dict[str, Array]
    value: Callable[[], float]
    gradients: Callable[[], Mapping[str, Any]]
    layers: dict[str, Any] = field(default_factory=dict)
    size: float = 0.0

    def winners(self) -> Pattern:
        """Return which side of its kink each unit was on in the last forward pass, by layer."""
        found = {}
        for name, layer in self.layers.items():
            # Relu's mask; places of maxima, under the name of our layer or the book's. A mask of
            # dropout is the same in all passes.
            for attribute in ("mask", "argmax", "arg_max"):
                value = getattr(layer, attribute, None)
                if isinstance(value, np.ndarray) and value.dtype.kind in "biu":
                    found[name] = value.copy()
        return found


def may_have_kinks(found: Mapping[str, Any]) -> bool:
    """Return whether one of the layers may have a kink: whether it is not known to be smooth."""
    records = [nearest_record(layer) for layer in found.values()]
    return not all(record is not None and record.smooth for record in records) or not records


def expect_steps(steps: Any) -> Float64s:
    """Return the steps, largest first."""
    try:
        given: list[SupportsFloat] = list(steps)
    except TypeError:
        given = [steps]
    checked = sorted({numbers.positive("steps", step) for step in given}, reverse=True)
    if not checked:
        raise ValueError("steps: expected at least one step, got none")
    return np.array(checked)


def compare(
    objective: Objective,
    entries: int | None,
    steps: Float64s,
    seed: int,
    *,
    kinks: bool,
    depth: int,
) -> tuple[dict[str, ParameterCheck], list[Kink]]:
    """Compare the gradient of each parameter with differences.

    Parameters
    ----------
    objective : Objective
    entries : int or None
        How many entries of each parameter are looked at; all if None.
    steps : ndarray
    seed : int
        Chooses the entries.
    kinks, depth
        For the verdict.

    Returns
    -------
    checks : dict of str to ParameterCheck
    crossed : list of Kink

    Raises
    ------
    ValueError
        If the value is not repeatable or not finite, or a gradient is missing or has another
        shape.
    """
    value, again = objective.value(), objective.value()
    if not np.isfinite(value):
        raise ValueError(f"the loss is {value}: a gradient can be checked where it is finite")
    if value != again:
        raise ValueError(
            f"two passes with the same parameters gave {value!r} and {again!r}: turn off what is "
            "random, or draw it from numpy.random's global functions, which are seeded here"
        )
    base = objective.winners()
    gradients = _expect_gradients(objective)
    rounding = _rounding(objective, value, seed)
    checks, found = {}, []
    for number, (key, p) in enumerate(objective.params.items()):
        gradient = gradients[key].reshape(-1)
        chosen = _choose(gradient, entries, np.random.default_rng([seed, number]))
        indices = [tuple(map(int, np.unravel_index(i, p.shape))) for i in chosen]
        numerical = np.empty((len(indices), len(steps)))
        crossed = np.zeros(numerical.shape, np.bool_)
        for i, index in enumerate(indices):
            for j, step in enumerate(steps.tolist()):
                numerical[i, j], units = _difference(objective, base, p, index, step)
                crossed[i, j] = bool(units)
                found += [Kink(key, index, step, *unit) for unit in units]
        checks[key] = ParameterCheck(
            key, indices, steps, gradient[chosen].astype(np.float64), numerical, crossed,
            rounding, kinks, depth,
        )  # fmt: skip
    return checks, found


def _expect_gradients(objective: Objective) -> dict[str, Array]:
    gradients = objective.gradients()
    found = {}
    for key, p in objective.params.items():
        if key not in gradients:
            raise ValueError(f"gradient: expected one for each parameter, got none for {key!r}")
        found[key] = np.asarray(gradients[key])
        if found[key].shape != p.shape:
            raise ValueError(
                f"gradient of {key}: expected shape {p.shape}, that of the parameter, "
                f"got {found[key].shape}"
            )
        if found[key].dtype.itemsize < p.dtype.itemsize or found[key].dtype.kind != "f":
            raise TypeError(
                f"gradient of {key}: expected {p.dtype}, got {found[key].dtype}: differences of "
                f"numbers this coarse tell little; build the network so that it computes in "
                f"{p.dtype} (fastnn's take dtype=)"
            )
    return found


def _choose(gradient: Array, entries: int | None, rng: np.random.Generator) -> Int64s:
    """Choose entries: half of them where the gradient is not zero, the others anywhere."""
    if entries is None or entries >= gradient.size:
        return np.arange(gradient.size)
    # Weights of pixels that are black in all samples have no gradient, and there are many.
    nonzero = np.flatnonzero(gradient)
    first = rng.choice(nonzero, min(-(-entries // 2), len(nonzero)), replace=False)
    others = np.setdiff1d(np.arange(gradient.size), first)
    return np.concatenate([first, rng.choice(others, entries - len(first), replace=False)])


def _rounding(objective: Objective, value: float, seed: int, draws: int = 4) -> float:
    """Return by how much the value changes when all parameters change in their last digit."""
    rng = np.random.default_rng(seed)
    before = {key: p.copy() for key, p in objective.params.items()}
    largest = max(abs(value), objective.size) * float(
        np.finfo(np.result_type(*before.values())).eps
    )
    try:
        for _ in range(draws):
            for key, p in objective.params.items():
                eps = np.finfo(p.dtype).eps
                p[...] = before[key] * (1 + eps * rng.choice([-1, 1], p.shape).astype(p.dtype))
            largest = max(largest, abs(objective.value() - value))
    finally:
        for key, p in objective.params.items():
            p[...] = before[key]
    return largest


def _difference(
    objective: Objective, base: Pattern, p: Array, index: tuple[int, ...], step: float
) -> tuple[float, list[tuple[str, int, tuple[int, ...]]]]:
    """Return a centred difference, and the units (layer, sample, place) that crossed a kink."""
    before = p[index]
    try:
        p[index] = before + step
        above, higher = objective.value(), objective.winners()
        p[index] = before - step
        below, lower = objective.value(), objective.winners()
    finally:
        p[index] = before
    units = []
    for name, pattern in base.items():
        # A unit may cross at both ends.
        changed = (higher[name] != pattern) | (lower[name] != pattern)
        if changed.any():
            units += [(name, int(i), tuple(map(int, place))) for i, *place in np.argwhere(changed)]
    return (above - below) / (2 * step), units
