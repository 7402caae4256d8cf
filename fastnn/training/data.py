"""Samples and targets as a training takes them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import tables
from fastnn._utils import validation as numbers
from fastnn._utils.mapped import is_mapped
from fastnn._utils.types import Float64s, Int64s, Samples
from fastnn.layers.adoption import refresh
from fastnn.layers.record import loss_of, record_of, takes
from fastnn.ops._arrays import real
from fastnn.ops._targets import (
    ANSWERS,
    COUNTS,
    expect_between,
    expect_probabilities,
    labels,
    one_output,
    read_targets,
)
from fastnn.ops._targets import outputs as rows_of_outputs
from fastnn.training.labels import Positions, count_of, expect_count, learned
from fastnn.training.sample_weights import expect_some, weights_for

Pair = tuple[Samples, Samples]

_FRACTION = numbers.BETWEEN._replace(text="(x, t), (x, t, weights) or a number in (0, 1)")

# Samples that are known to be finite, in this context: several trainings go through the same ones.
finite: ContextVar[tuple[Samples, ...]] = ContextVar("finite", default=())

_TILE = 1 << 17  # numbers that are looked at together, which stay in the second-level cache


def samples(
    network: Any,
    x: ArrayLike,
    t: ArrayLike,
    where: str = "",
    suffix: str = "",
    learns: bool = False,
) -> Pair:
    """Return samples and targets as arrays that the network can be trained on.

    Parameters
    ----------
    network : Network
    x, t : array_like
    where, suffix : str
        What comes before and after their names in errors.
    learns : bool
        Whether the network takes the classes of labels, and the names of columns, if it has none.

    Returns
    -------
    x, t : ndarray

    Raises
    ------
    TypeError, ValueError
        If they are not what the network takes, or `x`, or real-valued `t`, is not finite.
        Files that are mapped into memory are not looked through.
    """
    refresh(network)  # new layers may say how many outputs there are
    name_x, name_t = f"{where}x{suffix}", f"{where}t{suffix}"
    if network.feature_names is not None:
        tables.expect_names(name_x, x, network.feature_names)
    elif learns and type(x) is not np.ndarray:
        network.feature_names = tables.names_of(x)
    x = real(name_x, x)
    features = network.input_size
    if isinstance(features, tuple):
        x, features = in_shape(name_x, x, features), math.prod(features)
    if x.ndim < 2 or len(x) == 0 or math.prod(x.shape[1:]) != features:
        hint = ""
        if x.ndim == 1 and features == 1:
            hint = "; x.reshape(-1, 1) makes a column"
        elif x.shape == (features,):
            hint = "; x[np.newaxis] makes one sample"
        raise ValueError(
            f"{name_x}: expected at least one sample of {features} features, as input_size says, "
            f"shape (N, {features}) or (N, ...), got {x.shape}{hint}"
        )
    if network.output_size is None and loss_of(network) is not None:
        raise ValueError(
            "network: expected a known number of outputs: set its output_size, or give layers of "
            "your own a method output_shape(shape)"
        )
    given = len(x), network.output_size, name_t
    t = _first_targets(network, t, *given) if learns else targets(network, t, *given)
    found = network.layers
    first = next(iter(found.values()), None) if isinstance(found, Mapping) else None
    if record_of(first) and not network._has_own("predict"):
        expect_finite(name_x, x)
    return x, t


def _first_targets(network: Any, t: ArrayLike, n: int, outputs: Any, name: str) -> Samples:
    """Return targets of a training; the network takes their classes if it needs them, at first."""
    try:
        return targets(network, t, n, outputs, name)
    except (TypeError, ValueError) as error:
        kind = takes(network)
        known = network._classes is not None
        if known or kind not in ("classes", "answers") or (count_of(kind, outputs) or 0) < 2:
            raise
        found = learned(name, t, n, kind, outputs, error)
        if network.history is not None:
            raise type(error)(
                f"{error}; the network was trained on integers or rows before: "
                "network.classes = [...] says which labels they stand for"
            ) from None
        network.classes = found.values
    return targets(network, t, n, outputs, name)


def targets(network: Any, t: ArrayLike, n: int, outputs: Any, name: str = "t") -> Samples:
    """Return targets as the loss of a network takes them, checked.

    Parameters
    ----------
    network : Network
    t : array_like
    n : int
        Samples that they are for.
    outputs : int
        Of the network; a loss of the user's own may have others.
    name : str
        What errors call them.

    Returns
    -------
    ndarray
        Labels, integers of shape (n,) or (n, 1), or a row for each sample. A loss that the user
        made, or that extends one of ours, may take other numbers.

    Raises
    ------
    TypeError, ValueError
        If they are none. Rows of any numbers that are mapped into memory are not looked through.
    """
    kind = takes(network)
    known = network._classes if kind in ("", "classes", "answers") else None
    if known is not None:
        t = known.positions(name, t)
        expect_count(len(known), kind, outputs)
    found = _targets(network, kind, t, n, outputs, name)
    return found.view(Positions) if isinstance(t, Positions) else found


def _targets(network: Any, kind: str, t: ArrayLike, n: int, outputs: Any, name: str) -> Samples:
    t = read_targets(name, t)
    if not kind:
        if t.shape[:1] != (n,):
            raise ValueError(f"{name}: expected {n} targets, got shape {t.shape}")
        return t
    own = record_of(network.last_layer) is None
    if kind != "classes":
        rows = rows_of_outputs(t, n, outputs, name)
        if kind == "numbers" and not own:
            expect_finite(name, t)
        elif not own:
            for tile in _tiles(rows, n):
                limits = ANSWERS if kind == "answers" else COUNTS
                expect_between(name, rows[tile], *limits, first=tile.start)
        return rows
    if outputs == 1 and not own:
        raise one_output("network.output_size")
    if t.shape != (n, outputs):
        found = labels(t, n, outputs, name)
        return t if t.dtype.kind in "iu" else found
    if not own:
        for tile in _tiles(t, n):
            expect_probabilities(name, t[tile], first=tile.start)
    return t


def to_compare(network: Any, t: ArrayLike, n: int, outputs: int) -> Samples:
    """Return targets to compare largest scores with: as above, for a loss of the user's own too."""
    t = targets(network, t, n, outputs)
    own = loss_of(network) is None and t.shape != (n, outputs)
    return labels(t, n, outputs) if own else t


def in_shape(name: str, x: Samples, shape: tuple[int, ...]) -> Samples:
    """Return samples in the shape that a network takes, from flat ones or a shape like it.

    Raises
    ------
    ValueError
        If their shape is another, axes of length 1 aside.
    """
    given = x.shape[1:]
    if given == shape:
        return x
    size = math.prod(shape)
    if given != (size,) and [n for n in given if n != 1] != [n for n in shape if n != 1]:
        raise ValueError(
            f"{name}: expected at least one sample of shape {shape}, as input_size says, or of "
            f"{size} features, got {x.shape}"
        )
    return x.reshape(len(x), *shape)


def _tiles(array: Samples, count: int) -> Iterator[slice]:
    """Return slices of so many rows."""
    step = max(1, _TILE // max(1, math.prod(array.shape[1:])))
    return (slice(begin, begin + step) for begin in range(0, count, step))


def expect_finite(name: str, array: Samples) -> None:
    """Raise ValueError if there is NaN or infinity, except in a file."""
    if any(array is one for one in finite.get()):
        return
    if array.dtype.kind == "f" and not is_mapped(array):
        where = not_finite(name, array)
        if where:
            raise ValueError(f"{name}: expected finite numbers, got {where}")


def not_finite(name: str, array: Samples, among: Int64s | None = None) -> str:
    """Return a number that is not finite and where it is, as text; "" if there is none.

    Parameters
    ----------
    name : str
    array : ndarray
    among : ndarray of int64, optional
        Rows to look at; all if not given.
    """
    if array.dtype.kind != "f":
        return ""
    for tile in _tiles(array, len(array if among is None else among)):
        rows = tile if among is None else among[tile]
        part = array[rows]
        finite = np.isfinite(part)
        if not finite.all():
            place = tuple(map(int, np.unravel_index(int(finite.argmin()), finite.shape)))
            row = tile.start + place[0] if among is None else int(among[tile][place[0]])
            where = ", ".join(map(str, (row, *place[1:])))
            return f"{part[place]} in {name}[{where}]"
    return ""


class Parts(NamedTuple):
    """What to train on, and what to validate on, if anything, with weights of their samples."""

    data: Pair
    weights: Float64s | None
    held_out: Pair | None = None
    of_held_out: Float64s | None = None


def split(network: Any, x: Samples, t: Samples, weights: Float64s | None, validation: Any) -> Parts:
    """Return the samples to train on and those to validate on.

    Parameters
    ----------
    network : Network
    x, t : ndarray
    weights : ndarray of float64 or None
        Of the samples.
    validation : (x, t), (x, t, weights), float or None

    Returns
    -------
    Parts

    Raises
    ------
    TypeError, ValueError
        If `validation` is not as above.
    """
    if validation is None:
        return Parts((x, t), weights)
    if isinstance(validation, (tuple, list)):
        if len(validation) not in (2, 3):
            raise ValueError(f"validation: expected {_FRACTION.text}, got {len(validation)} items")
        held_out = samples(network, validation[0], validation[1], "validation ")
        given, n = (*validation, None)[2], len(held_out[0])
        of_held_out = weights_for(network, held_out[1], n, given, None, "validation weights")
        return Parts((x, t), weights, held_out, of_held_out)
    if isinstance(validation, dict) or np.ndim(validation):
        raise TypeError(f"validation: expected {_FRACTION.text}, got {numbers.brief(validation)}")
    share = numbers.number("validation", validation, _FRACTION)
    n = len(x) - max(1, round(share * len(x)))
    if n < 1:
        raise ValueError(f"validation: {share} of {len(x)} samples leaves none to train on")
    data, held_out = (x[:n], t[:n]), (x[n:], t[n:])
    if weights is None:
        return Parts(data, None, held_out)
    return Parts(data, expect_some(weights[:n]), held_out, expect_some(weights[n:]))
