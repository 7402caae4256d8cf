"""Arrays that compiled code makes of addresses."""

from __future__ import annotations

import numba
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.codegen.compile import serial


@intrinsic
def pointer(typingctx, address):  # type: ignore[no-untyped-def]
    """Return an address as a pointer."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
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
