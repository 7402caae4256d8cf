"""What each of several trainings is given: the same for all, or one of a list for each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._utils import tables
from fastnn._utils.mapped import is_mapped
from fastnn.ops._arrays import real
from fastnn.optimizers.updater import anew, optimizer_of
from fastnn.program.data import is_ready
from fastnn.training.callbacks import Callback, Checkpoint, CSVLogger
from fastnn.training.data import not_finite


def each(name: str, value: Any, count: int) -> list[Any]:
    """Return a value for each of so many trainings.

    Parameters
    ----------
    name : str
        Of an argument of ``network.fit``.
    value : object
        One for all, or a list, or tuple, of as many as there are trainings.
    count : int

    Raises
    ------
    ValueError
        If there are others than `count`.
    TypeError
        If one optimizer, history or callback is to serve several trainings that cannot share it.
    """
    if not _is_list_of_each(name, value, count):
        return _SHARED.get(name, _same)(name, value, count)
    if len(value) != count:
        raise ValueError(
            f"{name}: expected one for all networks, or a list of {count}, one for each, got "
            f"{len(value)}"
        )
    if name in ("optimizer", "resume"):
        _expect_different(name, value)
    return [*value]


def _is_list_of_each(name: str, value: Any, count: int) -> bool:
    """Say whether a value is a list with one for each training.

    What is a list for one training already is told by what is in it.
    """
    if not isinstance(value, (list, tuple)):
        return False
    fewest = _FEWEST_AXES.get(name)
    if fewest is not None:  # lists of numbers, and lists of those, are data of all
        found = [len(getattr(one, "shape", ())) >= fewest for one in value]
        return len(value) == count and all(found)
    return name not in _FOR_ONE or not _FOR_ONE[name](value)


# Axes that the data of one training have at least.
_FEWEST_AXES = {"x": 2, "t": 1, "sample_weight": 1}


def _is_validation(value: Any) -> bool:
    """Say whether it is a pair of samples and targets, not a list of pairs or shares."""
    pair = len(value) == 2 and not any(v is None or isinstance(v, (tuple, float)) for v in value)
    return pair or isinstance(value, tuple)


def _is_metrics(value: Any) -> bool:
    return all(isinstance(one, str) or callable(one) for one in value)


_FOR_ONE: Mapping[str, Callable[[Any], bool]] = {
    "validation": _is_validation,
    "callbacks": lambda value: all(isinstance(one, Callback) for one in value),
    "metrics": _is_metrics,
    "class_weight": lambda value: (
        not any(one is None or isinstance(one, (str, dict, np.ndarray)) for one in value)
    ),
}


def _same(name: str, value: Any, count: int) -> list[Any]:
    return [value] * count


def _optimizers(name: str, value: Any, count: int) -> list[Any]:
    """Return an optimizer of the same settings for each."""
    if value is None:
        return [None] * count
    value = optimizer_of(value, {})
    return [anew(value) for _ in range(count)]


def _histories(name: str, value: Any, count: int) -> list[Any]:
    if value is None or count == 1:
        return [value] * count
    raise TypeError(
        f"{name}: expected a list of {count} histories, one for each network, or None, got "
        f"{value!r}"
    )


def _callbacks(name: str, value: Any, count: int) -> list[Any]:
    """Return copies of callbacks for each, those of no training yet."""
    if not isinstance(value, Iterable) or count == 1:
        return [value] * count
    found = list(value)
    for callback in found:
        if isinstance(callback, (Checkpoint, CSVLogger)):
            raise TypeError(
                f"{name}: expected a list of {count} lists, one for each network, as "
                f"{callback!r} writes to a file of its own"
            )
    return [copy.deepcopy(found) for _ in range(count)]


_SHARED: Mapping[str, Callable[[str, Any, int], list[Any]]] = {
    "optimizer": _optimizers,
    "resume": _histories,
    "callbacks": _callbacks,
}


def _expect_different(name: str, values: Sequence[Any]) -> None:
    first: dict[int, int] = {}
    for i, value in enumerate(values):
        if value is None or isinstance(value, str):
            continue
        if first.setdefault(id(value), i) != i:
            raise ValueError(
                f"{name}[{i}]: expected another one than {name}[{first[id(value)]}], as both are "
                "used at the same time; one that is given by itself, not in a list, is copied for "
                "each network"
            )


class Table:
    """The numbers of a table, and the names of its columns."""

    def __init__(self, array: NDArray[Any], columns: list[str]) -> None:
        self._array, self.columns, self.shape = array, columns, array.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the numbers as they are; NumPy converts them."""
        return self._array

    def __len__(self) -> int:
        return len(self._array)


class Shared:
    """Samples of several trainings, each array converted once for all that have it."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, np.dtype[Any]], tuple[Any, Any]] = {}

    def finite(self) -> tuple[NDArray[Any], ...]:
        """Return the arrays that have been looked through, and are finite."""
        used = (np.asarray(made) for _, made in self._made.values() if not is_mapped(made))
        return tuple(array for array in used if array.ndim > 1 and not not_finite("x", array))

    def samples(self, name: str, x: Any, network: Any) -> Any:
        """Return samples that the network's program reads where they lie, where that can be.

        Parameters
        ----------
        name : str
            What errors call them.
        x : array_like
            It is returned as it is if a conversion to the network's dtype would make a number
            infinite, which the training then tells of.
        network : Network

        Raises
        ------
        TypeError, ValueError
            If they are not real numbers.
        """
        if network._has_own("predict"):  # which may want them as they are given
            return x
        key = id(x), network.dtype
        if key not in self._made:
            self._made[key] = x, _converted(name, x, network.dtype)  # x stays, and so its id
        return self._made[key][1]

    def validation(self, name: str, value: Any, network: Any) -> Any:
        """Return validation data likewise."""
        if isinstance(value, (tuple, list)) and len(value) == 2:
            return self.samples(f"{name} x", value[0], network), value[1]
        return value


def _converted(name: str, x: Any, dtype: np.dtype[Any]) -> Any:
    array = real(name, x)
    used = array
    wider = array.dtype.kind == "f" and array.dtype.itemsize > dtype.itemsize
    if array.ndim > 1 and not is_mapped(array) and (wider or not is_ready(array)):
        with np.errstate(all="ignore"):
            used = np.ascontiguousarray(array, dtype)
        if wider and not np.isfinite(used).all():
            return x
    columns = tables.names_of(x)
    return used if columns is None else Table(used, columns)


def rows_to_train_on(x: Any, validation: Any) -> int:
    """Return how many samples of a training are not held out, as far as that can be told."""
    n = len(x)
    share = validation if isinstance(validation, float) and 0 < validation < 1 else None
    return n if share is None else n - max(1, round(share * n))
