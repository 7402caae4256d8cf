"""Many arrays in one call: a table of where they lie, which a kernel cuts as one range.

A network has ten small parameters or a hundred, and an optimizer updates them all at each
step. Checked, handed over and cut one by one, each of them would cost what a call costs. In a
table it costs 100 nanoseconds: compiled code reads what there is to know of an array where
NumPy keeps it, instead of asking for it through Python.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np
from numba import types

from fastnn.kernels.codegen.compile import entry, intrinsic, serial
from fastnn.kernels.codegen.flow import I64, declare
from fastnn.kernels.codegen.memory import typed, vector
from fastnn.kernels.threading.driver import LINE

# A row stands for arrays of one size, a parameter, its gradient and its states: where they begin
# in the range that a kernel cuts, their size, their addresses. Rows begin at multiples of LINE, so
# that a cut comes at the same places as in an array on its own.
BEGIN, SIZE, ADDRESSES = 0, 1, 2

# The length of that range, as an expression of a kernel's argument `table`.
RANGE = f"table[-1, {BEGIN}] + table[-1, {SIZE}]"

# How NumPy keeps arrays and dtypes, from the type pointer on, which ends the header of every
# Python object: PyArrayObject_fields and PyArray_Descr in NumPy's ndarraytypes.h. Compiled
# extensions have these offsets built in, so they change only when all of those must be rebuilt.
_HEADER = object.__basicsize__ - np.dtype(np.intp).itemsize
_ARRAY = np.dtype(
    [
        ("type", np.intp),
        ("data", np.intp),
        ("ndim", np.intc),
        ("shape", np.intp),
        ("strides", np.intp),
        ("base", np.intp),
        ("dtype", np.intp),
        ("flags", np.intc),
    ],
    align=True,
)
_DTYPE = np.dtype(
    [("type", np.intp), ("scalar", np.intp), ("kind", "i1"), ("char", "i1"), ("order", "i1")],
    align=True,
)
_NATIVE = ord("=")
# Flags: C-contiguous and aligned; and may be written.
_READABLE, _WRITABLE = 0x101, 0x501


def _layout_is_known() -> bool:
    """Say whether this NumPy keeps an array as described above."""

    def read(value: object, layout: np.dtype[Any]) -> Any:
        memory: Any = (ctypes.c_char * layout.itemsize).from_address(id(value) + _HEADER)
        return np.frombuffer(memory, layout)[0]

    probe = np.zeros((2, 3), np.float32)
    array, dtype = read(probe, _ARRAY), read(probe.dtype, _DTYPE)
    return bool(
        array["type"] == id(np.ndarray)
        and array["data"] == probe.ctypes.data
        and array["ndim"] == 2
        and array["dtype"] == id(probe.dtype)
        and array["flags"] == probe.flags.num
        and dtype["scalar"] == id(np.float32)
        and dtype["order"] == _NATIVE
    )


@intrinsic
def _item(typingctx, objects, index):
    """Return the address of an item of the tuple at an address; needs the GIL."""

    def codegen(context, builder, signature, args):
        pointer = context.get_value_type(types.voidptr)
        get = declare(builder.module, "PyTuple_GetItem", pointer, [pointer, I64])
        item = builder.call(get, [builder.inttoptr(args[0], pointer), args[1]])
        return builder.ptrtoint(item, I64)

    return types.int64(types.int64, types.int64), codegen


@serial
def _array(address):
    return typed(address + _HEADER, 1, _ARRAY)[0]


@serial
def _dtype(address):
    return typed(address + _HEADER, 1, _DTYPE)[0]


@serial
def _shape(array):
    return typed(array.shape, array.ndim, np.intp)


@serial
def _size(shape):
    size = 1
    for length in shape:
        size *= length
    return size


@serial
def _equal(a, b):
    if len(a) != len(b):
        return False
    for i in range(len(a)):  # noqa: SIM110 (Numba has no generators in all)
        if a[i] != b[i]:
            return False
    return True


@serial
def _sort(values):
    """Sort in place (Shell, 1959)."""
    gap = len(values) // 2
    while gap > 0:
        for i in range(gap, len(values)):
            value = values[i]
            while i >= gap and values[i - gap] > value:
                values[i] = values[i - gap]
                i -= gap
            values[i] = value
        gap //= 2


@serial
def _apart(starts, ends):
    """Say whether no two intervals meet; sorts both arrays."""
    _sort(starts)
    _sort(ends)
    # No two are open at once if every start but the first comes after as many ends as there
    # are starts before it.
    for i in range(1, len(starts)):  # noqa: SIM110
        if starts[i] < ends[i - 1]:
            return False
    return True


# It reads Python objects: unlike a kernel, it keeps the GIL.
@functools.partial(entry, nogil=False)
def _fill(objects, kinds, ndarray, scalar, itemsize, table):
    """Fill the table from a tuple of arrays; return the sum of sizes, or -1."""
    rows = len(table)
    starts, ends = np.empty(rows * kinds, np.int64), np.empty(rows * kinds, np.int64)
    total, begin, filled = 0, 0, 0
    for row in range(rows):
        size = 0
        for kind in range(kinds):
            address = _item(objects, kind * rows + row)
            array = _array(address)
            flags = _READABLE if kind == 1 else _WRITABLE
            if array.type != ndarray or array.flags & flags != flags:
                return -1
            dtype, shape = _dtype(array.dtype), _shape(array)
            if dtype.scalar != scalar or dtype.order != _NATIVE:
                return -1
            if kind == 0:
                size = _size(shape)
            elif not _equal(shape, _shape(_array(_item(objects, row)))):
                return -1
            table[row, ADDRESSES + kind] = array.data
            if size > 0:
                starts[filled], ends[filled] = array.data, array.data + size * itemsize
                filled += 1
        table[row, BEGIN], table[row, SIZE] = begin, size
        begin += (size + LINE - 1) // LINE * LINE
        total += size
    return total if _apart(starts[:filled], ends[:filled]) else -1


# For each dtype an empty array, which tells kernels what is at the addresses, and what `_fill`
# must know about it. Empty if nothing can be read.
_REALS: dict[Any, tuple[Any, tuple[int, int, int]]] = {
    np.dtype(real): (np.empty(0, real), (id(np.ndarray), id(real), np.dtype(real).itemsize))
    for real in (np.float32, np.float64)
    if _layout_is_known()
}
_NONE = (None, ())


def is_readable() -> bool:
    """Say whether compiled code can look into the arrays of this NumPy."""
    return bool(_REALS)


def tabulate(arrays: tuple[Any, ...], kinds: int) -> tuple[Any, Any, int] | None:
    """Return a table of arrays, if they are as kernels take them.

    Parameters
    ----------
    arrays : tuple
        All parameters, then as many gradients in the same order, then states.
    kinds : int
        Number of arrays to a parameter, itself included: at least 2.

    Returns
    -------
    (table, like, total) or None
        The first two are arguments of kernels: the table, and an empty array of the dtype. The
        last is the number of elements to update. The arrays must outlive the table's use.
        None unless all arrays are of one dtype, float32 or float64, C-contiguous, aligned and,
        but for gradients, writable, each is shaped like its parameter, and no two share memory.
    """
    like, facts = _REALS.get(getattr(arrays[0], "dtype", None), _NONE)
    if like is None:
        return None
    table = np.empty((len(arrays) // kinds, ADDRESSES + kinds), np.int64)
    total = _fill(id(arrays), kinds, *facts, table)
    return (table, like, total) if total >= 0 else None


@serial
def part(table, row, kind, start, stop, like):
    """Return what lies in [start, stop) of a row's array: 0 is the parameter, 1 its gradient."""
    begin, size = table[row, BEGIN], table[row, SIZE]
    low, high = max(start - begin, 0), max(min(stop - begin, size), 0)
    return vector(table[row, ADDRESSES + kind], high, like)[low:high]
