"""Labels of any values: the classes of a network, and targets as positions among them."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._utils import tables
from fastnn._utils.types import Array, Int64s
from fastnn.layers.record import takes

_SHOWN = 5  # labels that an error names
_KINDS = {str, int, bool}


class Positions(np.ndarray[Any, np.dtype[np.int64]]):
    """Labels that have been looked up among the classes of a network, and are so only once.

    What is taken out of them is of this type, too.
    """


class Classes:
    """Labels of a network's outputs, in their order.

    Parameters
    ----------
    values : iterable of str, int or bool
        Different ones, of one type.

    Attributes
    ----------
    values : tuple of str, int or bool

    Raises
    ------
    TypeError, ValueError
        If they are not as above.
    """

    def __init__(self, values: Iterable[Any]) -> None:
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise TypeError(f"classes: expected a list of labels, got {values!r}")
        self.values = tuple(_plain(value) for value in values)
        kinds = {type(value): value for value in self.values}
        if len(kinds) > 1 or not kinds.keys() <= _KINDS:
            raise TypeError(
                "classes: expected labels of one type, all text or all integers, got "
                + (" and ".join(map(repr, kinds.values())))
            )
        if any(type(value) is int and not -(2**63) <= value < 2**63 for value in self.values):
            raise ValueError("classes: expected integers of 64 bits, got larger ones")
        self._places = {value: i for i, value in enumerate(self.values)}
        if len(self._places) < len(self.values):
            twice = next(v for i, v in enumerate(self.values) if self._places[v] != i)
            raise ValueError(f"classes: expected different labels, got {twice!r} twice")
        if len(self.values) < 2:
            raise ValueError(f"classes: expected at least 2 labels, got {len(self.values)}")

    def __len__(self) -> int:
        return len(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Classes) and self.values == other.values

    __hash__ = None  # type: ignore[assignment]

    @property
    def array(self) -> NDArray[Any]:
        """The labels as an array: of text, int64 or bool."""
        return np.array(self.values)

    def positions(self, name: str, t: Any) -> Any:
        """Return where labels stand among the classes; other targets come back as they are.

        Parameters
        ----------
        name : str
            What errors call them.
        t : array_like
            Labels, or rows, one number a class. :class:`Positions` are none to look up.

        Raises
        ------
        TypeError, ValueError
            If a label is missing (None, NaN), or is none of the classes.
        """
        if isinstance(t, Positions):
            return t
        given = _labels(name, t)
        if given is None:
            return t
        labels = given.ravel().tolist()
        try:
            found = np.fromiter(map(self._places.__getitem__, labels), np.int64, len(labels))
        except (KeyError, TypeError):  # the second is of a list, which is no label
            raise self._unknown(name, labels) from None
        return found.reshape(given.shape).view(Positions)

    def _unknown(self, name: str, labels: list[Any]) -> ValueError:
        _expect_none_missing(name, labels)
        row, value = next(
            (i, v) for i, v in enumerate(labels) if not _is_hashable(v) or v not in self._places
        )
        return ValueError(
            f"{name}: expected labels that the network knows, network.classes: "
            f"{some(self.values)}; got {value!r} in {name}[{row}]"
        )


def count_of(kind: str, outputs: Any) -> int | None:
    """Return how many classes outputs tell apart, by the kind of targets; None if not known.

    One output with the logistic loss tells two apart; several are questions of their own: 0.
    """
    if not isinstance(outputs, int):
        return None
    return outputs if kind != "answers" else 2 if outputs == 1 else 0


def expect_count(count: int, kind: str, outputs: Any) -> None:
    """Raise ValueError if a network with these outputs has not so many classes."""
    expected = count_of(kind, outputs)
    if expected == 0:
        raise ValueError(
            "network.classes: expected None, as several outputs with the logistic loss are as many "
            f"questions, got {count} labels"
        )
    if expected is not None and count != expected:
        raise ValueError(
            f"network.classes: expected {expected} labels, {_reason(kind)}, got {count}"
        )


def _reason(kind: str) -> str:
    if kind == "answers":
        return "of no and of yes, as the network has one output"
    return "one for each output of the network"


def classes_of(network: Any, scores: Array, known: Classes | None) -> NDArray[Any]:
    """Return what scores of a network say: labels, numbers of classes, or rows of 0 and 1.

    Raises
    ------
    ValueError
        If there is a single output, which has no classes.
    """
    found: Int64s
    if takes(network) == "answers":
        found = (scores > 0).astype(np.int64)
        if scores.shape[-1] > 1:
            return found
        found = found[..., 0]
    elif scores.shape[-1] == 1:
        raise ValueError(
            "predict_classes: expected a network of several outputs, the largest of which is the "
            "class, got one output"
        )
    else:
        found = scores.argmax(axis=-1)
    return found if known is None else known.array[found]


def some(values: Iterable[Any]) -> str:
    """Return labels as text, of many the first ones."""
    found = [*values]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(map(repr, found[:_SHOWN])) + more


def learned(name: str, t: Any, n: int, kind: str, outputs: int, error: Exception) -> Classes:
    """Return the classes of labels that are not positions.

    Those of a categorical column (pandas, polars' Enum) are all of its categories in their order
    where there are as many as the network tells apart; others are sorted.

    Parameters
    ----------
    name : str
        What errors call the labels.
    t : array_like
    n : int
        How many samples there are.
    kind : str
        What targets the network takes.
    outputs : int
        Of the network.
    error : Exception
        What is wrong with these targets as positions. It is raised for what is no label, too.

    Raises
    ------
    TypeError, ValueError
        If a label is missing, labels are of several types, or not as many as outputs.
    """
    given, count = _labels(name, t), count_of(kind, outputs)
    if given is None or given.dtype.kind not in "OTUiuf" or len(given) != n:
        raise error
    if given.dtype.kind == "f" and not (np.isfinite(given) & (given == np.trunc(given))).all():
        raise error
    labels = given.ravel().tolist()
    try:
        values = {*labels}
    except TypeError:  # lists are no labels
        raise error from None
    if any(map(tables.is_missing, values)):
        _expect_none_missing(name, labels)
    different = {*map(_plain, values)}
    kinds = {type(value): value for value in different}
    if not kinds.keys() <= _KINDS:
        raise error
    if len(kinds) > 1:
        raise TypeError(
            f"{name}: expected labels of one type, got {' and '.join(map(repr, kinds.values()))}"
        )
    categories = _categories(t)
    if len(categories) == count:
        return Classes(categories)
    if len(different) == count:
        return Classes(sorted(different))
    if kinds.keys() == {int}:
        as_many = f"as many different ones as outputs, {count}"
        raise ValueError(
            f"{error}; fit takes other integers for labels, network.classes, only where there are "
            f"{'2 different ones' if kind == 'answers' else as_many}, got {len(different)}"
        ) from None
    fewer = count is not None and len(different) < count
    hint = "; network.classes = [...] before fit names those that are missing" if fewer else ""
    raise ValueError(
        f"{name}: expected {count} classes, {_reason(kind)}, got "
        f"{len(different)} different labels: {some(sorted(different))}{hint}"
    ) from None


def _labels(name: str, t: Any) -> NDArray[Any] | None:
    """Return an array with a label for each sample, None if targets are rows or no array."""
    if isinstance(t, np.ma.MaskedArray) and np.ma.is_masked(t):
        raise TypeError(f"{name}: expected labels, got an array some of which are masked")
    # Of a list NumPy would make text of all that stands beside text, NaN too.
    as_objects = isinstance(t, (list, tuple))
    with suppress(ValueError):  # of lists of different lengths
        array = np.asarray(t, object) if as_objects else np.asarray(t)
        if array.ndim == 1 or array.shape[1:] == (1,):
            return array
    return None


def _plain(value: Any) -> Any:
    """Return a label as Python has it: integers without a fraction are such."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.item()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, bool):
        with suppress(TypeError):
            return operator.index(value)
    return value


def _categories(t: Any) -> list[Any]:
    """Return the categories of a column with a list of them; none of another.

    Those of polars' Categorical are what has come by so far, of any column.
    """
    dtype: Any = getattr(t, "dtype", None)
    return [*dtype.categories] if type(dtype).__name__ in ("CategoricalDtype", "Enum") else []


def _expect_none_missing(name: str, labels: list[Any]) -> None:
    for row, value in enumerate(labels):
        if tables.is_missing(value):
            raise ValueError(
                f"{name}: expected a label for each sample, got {value} in {name}[{row}]"
            )


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
