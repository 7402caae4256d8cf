"""Arrays at the edge of the kernels: what comes in, what is written, what is handed back.

Kernels take C-contiguous, aligned arrays of one dtype, float32 or float64, that may be
written as far as their type says. Whatever else a caller has is brought into that form here,
once, and results are copied back where the caller's own array is not of that form.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import mapped, tables
from fastnn._utils.types import Array
from fastnn.ops._memory import empty

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


class _Unlocked:
    """The memory of a read-only array, for a view without the read-only flag.

    Numba compiles a kernel anew for each combination of read-only arguments. Kernels never
    write to their inputs, so one form is enough.
    """

    def __init__(self, array: Array) -> None:
        self.array = array  # keeps the memory alive
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def array_of(name: str, value: ArrayLike) -> Array:
    """Return the value as an array; raise ValueError if its rows are of different lengths."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected an array of real numbers: {error}") from error


def real(name: str, value: ArrayLike) -> Array:
    """Return the value as an array of real numbers; raise TypeError or ValueError if it is none.

    Of a table with truth values or missing ones beside numbers it returns these as float64.
    """
    if type(value) is np.ndarray and value.base is None and value.dtype.kind in "fiub":
        return value
    array = array_of(name, value)
    if array.dtype.kind not in "fiub":
        return _of_table(name, value, array)
    masked = sys.modules.get("numpy.ma")  # without it, there are no such arrays
    if masked and isinstance(value, masked.MaskedArray) and masked.is_masked(value):
        raise TypeError(f"{name}: expected numbers, got an array some of which are masked")
    mapped.expect_whole(name, array)
    return array


def _of_table(name: str, value: ArrayLike, array: Array) -> Array:
    try:
        found = tables.numbers_of(value, array)
    except TypeError as error:
        raise TypeError(f"{name}: expected an array of real numbers, {error}") from None
    if found is None:
        raise TypeError(f"{name}: expected an array of real numbers, got {_kind(value, array)}")
    return found


def _kind(value: Any, array: Array) -> str:
    """Return what an array that is not of real numbers is, and what to do."""
    if array.dtype.kind != "O":
        return f"dtype {array.dtype}"
    if array.ndim:
        return "dtype object; array.astype(float) converts numbers"
    hint = "; its toarray() makes one" if hasattr(value, "toarray") else ""  # sparse ones of SciPy
    return f"{'None' if value is None else type(value).__name__}{hint}"


def _plain(array: Array, dtype: np.dtype[Any]) -> Array:
    """Return the array as kernels take it, a copy only where it must be."""
    with np.errstate(all="ignore"):  # what is too large becomes infinity
        array = np.require(array, dtype, ["C", "A"])
    return array if array.flags.writeable else np.asarray(_Unlocked(array))


def is_plain(value: Any) -> TypeGuard[Array]:
    """Say whether a value is an array as kernels take it."""
    return (
        type(value) is np.ndarray
        and (value.dtype is F32 or value.dtype is F64)
        and value.flags.carray
    )


def inputs(**named: ArrayLike) -> tuple[Array, ...]:
    """Return the arrays in one dtype, C-contiguous and aligned.

    The dtype is float64 if any array with a fraction is wider than float32, else float32;
    integers follow the others, and are float64 among themselves.

    Raises
    ------
    TypeError
        If an array is not of real numbers (complex, object, text, dates).
    """
    values: Any = tuple(named.values())
    dtype = getattr(values[0], "dtype", None)
    if dtype is not None and dtype in (F32, F64):
        for value in values:
            if type(value) is not np.ndarray or value.dtype is not dtype or not value.flags.carray:
                break
        else:
            return values
    arrays = [real(name, value) for name, value in named.items()]
    fractions = [a.dtype for a in arrays if a.dtype.kind == "f"]
    wide = not fractions or np.result_type(*fractions).itemsize > 4
    return tuple(_plain(a, F64 if wide else F32) for a in arrays)


def expect_shape(
    name: str, array: Array, shape: tuple[int, ...], why: str, *context: object
) -> None:
    """Raise ValueError unless the array has the shape.

    `why` says what it must match, with a place for each item of `context`.
    """
    if array.shape != shape:
        raise ValueError(
            f"{name}: expected shape {shape} {why.format(*context)}, got {array.shape}"
        )


def expect_ndim(name: str, array: Array, ndim: int, axes: str) -> None:
    """Raise ValueError unless the array has `ndim` axes; `axes` names them."""
    if array.ndim != ndim:
        raise ValueError(f"{name}: expected {ndim} axes {axes}, got shape {array.shape}")


def _overlap(a: Array, b: Array) -> bool:
    """Return whether two arrays may share memory."""
    # To see that both own theirs takes a tenth of the time.
    if a.flags.owndata and b.flags.owndata:
        return a is b
    return bool(np.may_share_memory(a, b))


def _writable(name: str, array: Any) -> None:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name}: expected an array to write to, got {type(array).__name__}")
    if not array.flags.writeable:
        raise ValueError(f"{name}: expected an array that can be written, got a read-only one")


def own(array: Array) -> Array:
    """Return the array, or a copy of one in a mapped file or that can only be read."""
    plain = type(array) is np.ndarray and array.flags.writeable
    return array if plain else np.array(array, subok=False)


def output(
    name: str,
    out: Array | None,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    *apart: Array,
) -> Array:
    """Return an array for a result: `out` itself, or a buffer for :func:`deliver` to copy.

    A buffer is needed where `out` is missing, not C-contiguous, not aligned, or shares
    memory with an array in `apart`.

    Raises
    ------
    TypeError
        If `out` is no array, or not of the result's dtype.
    ValueError
        If `out` has another shape or is read-only.
    """
    if out is None:
        return empty(shape, dtype)
    _writable(name, out)
    if out.dtype != dtype:
        raise TypeError(f"{name}: expected dtype {dtype}, got {out.dtype}")
    expect_shape(name, out, shape, "for this result")
    plain = np.asarray(out)  # of a subclass: np.matrix, for one, does not become flat
    if plain.flags.carray and not any([_overlap(plain, a) for a in apart]):
        return plain
    return empty(shape, dtype)


def unless_left(
    name: str,
    out: Array | None,
    wanted: bool,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    *apart: Array,
) -> Array | None:
    """Return what :func:`output` does, or None if no result is wanted; then `out` must fit too."""
    if wanted:
        return output(name, out, shape, dtype, *apart)
    if out is not None:
        output(name, out, shape, dtype)
    return None


def deliver(out: Array | None, buffer: Array) -> Array:
    """Return the result: `out`, filled from the buffer unless it is the buffer itself."""
    if out is None or out is buffer:
        return buffer
    with np.errstate(all="ignore"):
        out[...] = buffer
    return out


def expect_apart(
    written: Mapping[str, Array | None], others: Mapping[str, Array | None] = MappingProxyType({})
) -> None:
    """Raise ValueError if an array in `written` shares memory with another one of either kind."""
    given = [(name, a) for name, a in written.items() if a is not None]
    if not given:
        return
    arrays = [a for a in (*written.values(), *others.values()) if a is not None]
    if len({*map(id, arrays)}) == len(arrays) and all([a.flags.owndata for a in arrays]):
        return  # this answers most calls, in a tenth of the time
    for i, (name, a) in enumerate(given):
        for other, b in [*given[:i], *others.items()]:
            if b is not None and _overlap(a, b) and np.shares_memory(a, b):
                raise ValueError(f"{name}: expected memory of its own, got memory of {other}")


def updated(
    name: str, array: Array, shape: tuple[int, ...], dtype: np.dtype[Any], like: str
) -> Array:
    """Return an array that a call updates in place, or a buffer for :func:`deliver`.

    Raises
    ------
    TypeError
        If it is not a float32 or float64 array.
    ValueError
        If it has another shape or is read-only.
    """
    if (
        type(array) is np.ndarray
        and array.dtype is dtype
        and array.shape == shape
        and array.flags.carray
    ):
        return array
    _writable(name, array)
    if array.dtype.char not in "fd":
        raise TypeError(f"{name}: expected dtype float32 or float64, got {array.dtype}")
    expect_shape(name, array, shape, "like {}", like)
    plain = np.asarray(array)
    if plain.flags.carray and plain.dtype == dtype:
        return plain
    with np.errstate(all="ignore"):
        return np.array(plain, dtype, order="C")
