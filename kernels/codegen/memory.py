"""Where arrays stand in memory: addresses, arrays that compiled code makes of them."""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from fastnn.kernels.codegen.compile import intrinsic, serial
from fastnn.kernels.plain.memory import CACHE_LINE


@serial
def address_of(array):
    """Return where an array begins, or 0 for an empty one."""
    if array.size == 0:
        return numba.int64(0)
    return numba.int64(array.ctypes.data)


@intrinsic
def pointer(typingctx, address):
    """Return an address as a pointer."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), codegen


@serial
def vector(address, size, like):
    """Return the numbers at an address as an array of the type of `like`."""
    return numba.carray(pointer(address), size, like.dtype)


@serial
def matrix(address, rows, columns, like):
    """Return the rows at an address as an array of the type of `like`."""
    return numba.carray(pointer(address), (rows, columns), like.dtype)


@serial
def cube(address, blocks, rows, columns, like):
    """Return the matrices at an address as an array of the type of `like`."""
    return numba.carray(pointer(address), (blocks, rows, columns), like.dtype)


@serial
def typed(address, size, dtype):
    """Return the numbers at an address as an array of another type."""
    return numba.carray(pointer(address), size, dtype)


@serial
def doubles(address, rows, columns):
    """Return the rows at an address as an array of float64."""
    return numba.carray(pointer(address), (rows, columns), np.float64)


@serial
def is_absent(array):
    """Say whether a kernel's optional array was not given."""
    return array.ctypes.data == 0


@serial
def claim(space, size):
    """Return where so many bytes of workspace begin, on a cache line, and 0.

    Or anything, and how many bytes of workspace there should be: then there are not as many.
    """
    begin = (space[0] + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE
    wanted = size + CACHE_LINE if size > 0 else 0
    return begin, (wanted if wanted > space[1] else 0)
