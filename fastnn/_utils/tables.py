"""Tables of columns, such as data frames, of which NumPy makes arrays of objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHOWN = 5  # columns that an error names
_MISSING = "NoneType", "NAType"  # the second is that of pandas.NA


def is_missing(value: Any) -> bool:
    """Say whether a value stands for a missing one: None, NaN, pandas.NA or a date that is none."""
    return type(value).__name__ in (*_MISSING, "NaTType") or (
        isinstance(value, (float, np.floating)) and value != value
    )


def names_of(table: Any) -> list[str] | None:
    """Return the names of a table's columns; None if it has none, or others than text."""
    if isinstance(table, np.ndarray) or not hasattr(table, "__array__"):
        return None
    names = getattr(table, "column_names", getattr(table, "columns", None))
    if not isinstance(names, Iterable):
        return None
    found = list(names)
    return [*map(str, found)] if found and all(isinstance(name, str) for name in found) else None


def expect_names(name: str, table: Any, expected: list[str]) -> None:
    """Raise ValueError if a table has other columns, or in another order."""
    found = names_of(table)
    if found is None or found == expected:
        return
    beyond, lacking = (
        _some([column for column in one if column not in other])
        for one, other in ((found, expected), (expected, found))
    )
    text = [f"lacks {lacking}"] * bool(lacking) + [f"has {beyond} too"] * bool(beyond)
    what = " and ".join(text) or "has them in another order"
    hint = "" if lacking else "; x[network.feature_names] takes them, in their order"
    raise ValueError(
        f"{name}: expected a table with the columns that the network was trained on, got one that "
        f"{what}{hint}"
    )


def numbers_of(table: Any, objects: NDArray[Any]) -> NDArray[Any] | None:
    """Return the numbers of a table or of one of its columns; None if it is neither.

    Truth values count as 0 and 1, and what is missing as NaN.

    Parameters
    ----------
    table : object
        With `column_names` or `columns`, or, of one column, a `dtype` and ``__array__``.
    objects : ndarray
        What NumPy makes of it.

    Returns
    -------
    ndarray of float64, shaped like `objects`, or None

    Raises
    ------
    TypeError
        If there are columns of something else; its text names them.
    """
    if isinstance(table, np.ndarray) or not hasattr(table, "__array__"):
        return None
    names = getattr(table, "column_names", getattr(table, "columns", None))
    if objects.ndim == 1 and names is None and objects.dtype.kind == "O":
        found = _column(objects)
        return None if isinstance(found, str) else found
    if objects.ndim != 2 or not isinstance(names, Iterable):
        return None
    names = list(names)
    if len(names) != objects.shape[1]:
        return None
    columns = [_column(column) for column in objects.T]
    others = [
        f"{name!r} ({column})"
        for name, column in zip(names, columns, strict=True)
        if isinstance(column, str)
    ]
    if others:
        raise TypeError(
            f"got a table with other columns: {_some(others, str)}; leave them out, or make "
            "numbers of them: pandas.get_dummies(x, dtype=float) and x.to_dummies() of polars make "
            "a column for each category"
        )
    return np.stack(columns, axis=1)


def _some(names: list[str], text: Callable[[str], str] = repr) -> str:
    """Return names as text, of many the first ones."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(text, names[:_SHOWN])) + more


def _column(objects: NDArray[Any]) -> NDArray[Any] | str:
    """Return the numbers of a column, or, if it has others, the name of a type among them."""
    if objects.dtype.kind != "O":
        return str(objects.dtype)
    types = set(map(type, objects))
    other = next((t for t in types if not _is_number(t) and t.__name__ not in _MISSING), None)
    if other is not None:
        return other.__name__
    if not all(map(_is_number, types)):
        missing = [type(value).__name__ in _MISSING for value in objects]
        objects = np.where(missing, np.nan, objects)
    try:
        return objects.astype(np.float64)
    except OverflowError:
        return "int too large for float64"


def _is_number(kind: type[Any]) -> bool:
    return issubclass(kind, (Real, np.bool_))
