"""Zeros in the first operand of a product: images are mostly background, and 0 b adds nothing.

A row of tiles reads those k only for which one of its rows is not zero. That changes no bit of a
sum, as long as every b is finite.
"""

import numpy as np
from llvmlite import ir
from numba import types

from fastnn.kernels.codegen import flow, simd
from fastnn.kernels.codegen.compile import intrinsic, row_sum, serial
from fastnn.kernels.codegen.memory import typed
from fastnn.kernels.gemm.packing import row_of
from fastnn.kernels.gemm.sizes import BITS, NUMBER, ROWS
from fastnn.kernels.tuning import by_itemsize

_skip_share = by_itemsize("skip_share")


@serial
def listed(k, address):
    """Return how many k there are in the list at an address, which has room for `k`."""
    return typed(address + k * NUMBER, 1, np.int32)[0]


def _appender(rows, columns):
    """Return a function that looks at a block of an array, and appends to a list.

    It takes the address of the block, the step from row to row, how many columns of the block
    there are, the number of its first k, and where the list ends; and returns where it ends then.
    The columns are as many k, or if `columns` is given, so many of one k. More may be written
    behind the list than is appended to it: numbers for a vector's lanes.
    """

    @intrinsic
    def append(typingctx, address, step, there, k, end, zero):
        if zero not in (types.float32, types.float64):
            return None

        def codegen(context, builder, signature, args):
            address, step, there, k, end, _ = args
            lanes = BITS // zero.bitwidth
            v, whole = simd.Vectors(builder, zero, lanes), ir.IntType(zero.bitwidth)
            integers = ir.VectorType(whole, lanes)
            seen = nothing = ir.Constant(integers, [0] * lanes)
            for _ in range(rows):
                for first in range(0, columns or lanes, lanes):
                    mask = v.mask(builder.sub(there, flow.I64(first)))
                    row = v.load(v.offset(address, first), mask)
                    seen = builder.or_(seen, builder.bitcast(row, integers))
                address = builder.add(address, step)
            bits = builder.icmp_unsigned("!=", seen, nothing)
            bits = builder.bitcast(bits, ir.IntType(lanes))
            if columns:
                used = [builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))]
            else:
                used = [
                    builder.trunc(builder.lshr(bits, ir.Constant(bits.type, j)), flow.BIT)
                    for j in range(lanes)
                ]
            for j, is_used in enumerate(used):
                number = builder.trunc(builder.add(k, flow.I64(j)), flow.I32)
                builder.store(number, builder.inttoptr(end, flow.I32.as_pointer()))
                size = builder.mul(builder.zext(is_used, flow.I64), flow.I64(NUMBER))
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
    typed(address + k * NUMBER, 1, np.int32)[0] = (end - address) // NUMBER


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
        if _zero_times(row_of(b, i, left, right - left)) != 0:
            return False
    return True


@serial
def list_groups(a, transposed, top, rows, first, k, b, left, right, decide, lists, step):
    """List the k for each group of `ROWS` rows of a block of A; say whether to go by the lists.

    Parameters
    ----------
    a, transposed : array, int
    top, rows, first, k : int
        The block's first row and their number, its first k and their number.
    b : array
        What A is multiplied by; of it the columns from `left` up to `right`.
    decide : bool
        Whether the answer depends on what there is: on how many k remain in the first group, and
        on whether b is finite. Otherwise it is yes.
    lists, step : int
        Address of the first list, and step to the next, in bytes.
    """
    for i in range(0, rows - ROWS + 1, ROWS):
        address = lists + i // ROWS * step
        list_used(a, transposed, top + i, first, k, address)
        if (
            decide
            and i == 0
            and not (
                listed(k, address) <= _skip_share(a.itemsize) * k
                and are_finite(b, first, k, left, right)
            )
        ):
            return False
    return True
