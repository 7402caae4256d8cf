"""Zeros in the first operand of a product: images are mostly background, and 0 b adds nothing.

A row of tiles reads those k only for which one of its rows is not zero. That changes no bit of a
sum, as long as every b is finite.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, register_jitable

from fastnn.kernels.codegen import simd
from fastnn.kernels.codegen.compile import row_sum, serial
from fastnn.kernels.codegen.memory import typed
from fastnn.kernels.gemm.microkernel import BITS, ROWS

_NUMBER = 4  # bytes; a list has one for each k that it may come to, and then their count

# From how many k and columns on to look for zeros, and what share of the k must remain at most
# in the first row of tiles. To look takes a hundredth of the time that 100 columns take.
_LONG, _BROAD, _SHARE = 48, 32, 0.75


@register_jitable
def may_skip(m, k, n):
    """Return whether it may pay to look for zeros in a product (m, k) (k, n)."""
    return m >= ROWS and k >= _LONG and n >= _BROAD


@serial
def few_remain(count, k):
    """Say whether so few of the k remain that skipping the others pays."""
    return count <= _SHARE * k


@register_jitable
def list_bytes(k):
    """Return what a list of so many k takes, in bytes."""
    return (k + BITS // 32) * _NUMBER


@serial
def listed(k, address):
    """Return how many k there are in the list at an address, which has room for `k`."""
    return typed(address + k * _NUMBER, 1, np.int32)[0]


def _appender(rows, columns):  # type: ignore[no-untyped-def]
    """Return a function that looks at a block of an array, and appends to a list.

    It takes the address of the block, the step from row to row, how many columns of the block
    there are, the number of its first k, and where the list ends; and returns where it ends then.
    The columns are as many k, or if `columns` is given, so many of one k. More may be written
    behind the list than is appended to it: numbers for a vector's lanes.
    """

    @intrinsic
    def append(typingctx, address, step, there, k, end, zero):  # type: ignore[no-untyped-def]
        if zero not in (types.float32, types.float64):
            return None

        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            address, step, there, k, end, _ = args
            lanes = BITS // zero.bitwidth
            v, whole = simd.Vectors(builder, zero, lanes), ir.IntType(zero.bitwidth)
            integers = ir.VectorType(whole, lanes)
            seen = nothing = ir.Constant(integers, [0] * lanes)
            for _ in range(rows):
                for first in range(0, columns or lanes, lanes):
                    mask = v.mask(builder.sub(there, simd.I64(first)))
                    row = v.load(v.offset(address, first), mask)
                    seen = builder.or_(seen, builder.bitcast(row, integers))
                address = builder.add(address, step)
            bits = builder.icmp_unsigned("!=", seen, nothing)
            bits = builder.bitcast(bits, ir.IntType(lanes))
            if columns:
                used = [builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))]
            else:
                used = [
                    builder.trunc(builder.lshr(bits, ir.Constant(bits.type, j)), simd.BIT)
                    for j in range(lanes)
                ]
            for j, is_used in enumerate(used):
                number = builder.trunc(builder.add(k, simd.I64(j)), simd.I32)
                builder.store(number, builder.inttoptr(end, simd.I32.as_pointer()))
                size = builder.mul(builder.zext(is_used, simd.I64), simd.I64(_NUMBER))
                end = builder.add(end, size)
            return end

        return types.int64(*[types.int64] * 5, zero), codegen

    return append


_append_columns = _appender(ROWS, None)
_append_row = _appender(1, ROWS)


@serial
def list_used(a, transposed, top, first, k, address):
    """List the k, counted from `first`, for which one of `ROWS` rows of A is not zero."""
    zero, size, step = a.dtype.type(0), a.itemsize, a.strides[0]
    end = address
    if transposed:
        place = a.ctypes.data + first * step + top * size
        for q in range(k):
            end = _append_row(place + q * step, 0, ROWS, q, end, zero)
    else:
        place = a.ctypes.data + top * step + first * size
        for q in range(0, k, BITS // (8 * size)):
            end = _append_columns(place + q * size, step, k - q, q, end, zero)
    typed(address + k * _NUMBER, 1, np.int32)[0] = (end - address) // _NUMBER


@row_sum
def _zero_times(row):
    total = row.dtype.type(0)
    for j in range(row.size):
        total += row[j] * row.dtype.type(0)
    return total


@serial
def are_finite(b, top, rows, left, right):
    """Say whether these rows and columns of an array have neither NaN nor infinity."""
    for i in range(top, top + rows):  # noqa: SIM110 (Numba has no generators in all)
        if _zero_times(b[i, left:right]) != 0:
            return False
    return True
