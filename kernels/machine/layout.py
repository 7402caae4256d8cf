"""Where Python and NumPy keep what machine code looks for in their objects.

Compiled extensions have these places built in, so they change only when all of those must be
rebuilt: ``PyArrayObject_fields`` and ``PyArray_Descr`` in NumPy's ndarraytypes.h. They hold for
interpreters with a lock; where they do not hold, :func:`is_known` says so.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

import numpy as np

WORD = 8

# Of any object, in bytes: its type. Of an array: where its numbers are, how many axes, where their
# lengths are, its dtype, its flags. Of a float: its value. Of a tuple: how many items (the first
# is elsewhere since Python 3.14). Of a function of C: what it is, then the object of its own.
TYPE = 8
DATA, AXES, SHAPE, DTYPE, FLAGS = 16, 24, 32, 56, 64
VALUE = 16
COUNT = 16
DEFINITION = 16
# Of a dtype, which another object may be equal to: the type of its numbers, and the order of bytes.
SCALAR, ORDER = 16, 26
NATIVE, NO_ORDER = ord("="), ord("|")

# Flags: C-contiguous and aligned; and may be written.
READABLE, WRITABLE = 0x101, 0x501

# dtypes of arrays that kernels take, by their number; the first two are those of real numbers.
DTYPES = tuple(
    map(np.dtype, (np.float32, np.float64, np.int64, np.uint64, np.int32, np.bool_, np.uint8))
)


def _at(value: object, offset: int, kind: Any = ctypes.c_int64) -> Any:
    return kind.from_address(id(value) + offset).value


def items() -> int:
    """Return where in a tuple its first item is: one without items ends there."""
    return tuple.__basicsize__


@functools.cache
def is_known() -> bool:
    """Say whether this Python and this NumPy keep their objects as described here."""
    if sys.implementation.name != "cpython" or object.__basicsize__ != TYPE + WORD:
        return False
    probe = np.zeros((2, 3), np.float32)
    pair = (probe, 2.5)
    method = probe.sum
    return bool(
        _at(probe, TYPE) == id(np.ndarray)
        and _at(probe, DATA) == probe.ctypes.data
        and _at(probe, AXES, ctypes.c_int) == 2
        and ctypes.c_int64.from_address(_at(probe, SHAPE)).value == 2
        and _at(probe, DTYPE) == id(probe.dtype) == id(np.dtype(np.float32))
        and _at(probe, FLAGS, ctypes.c_int) == probe.flags.num
        and _at(probe.dtype, SCALAR) == id(np.float32)
        and _at(probe.dtype, ORDER, ctypes.c_ubyte) == NATIVE
        and _at(2.5, VALUE, ctypes.c_double) == 2.5
        and _at(method, DEFINITION + WORD) == id(probe)
        and _at(pair, COUNT) == 2
        and (_at(pair, items()), _at(pair, items() + WORD)) == (id(probe), id(pair[1]))
    )
