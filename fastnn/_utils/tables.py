"""Tables of columns, such as data frames, of which NumPy makes arrays of objects."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHOWN = 5  # columns that an error names
_MISSING = "NoneType", "NAType"  # the second is that of pandas.NA


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
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        raise TypeError(
            f"got a table with other columns: {', '.join(others[:_SHOWN])}{more}; leave them out, "
            "or make numbers of them"
        )
    return np.stack(columns, axis=1)


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
