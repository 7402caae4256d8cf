"""The parts of the loops at the limits of the machine."""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastnn.kernels.codegen import flow, simd
from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.codegen.memory import pointer, vector
from fastnn.kernels.limits import REGISTERS
from fastnn.kernels.plain.level import vector_bits
from fastnn.kernels.plain.table import LINE
from fastnn.kernels.threading.driver import kernel


@intrinsic
def _multiply_add(typingctx, rounds, value):
    def codegen(context, builder, signature, args):
        real = signature.return_type
        v = simd.Vectors(builder, real, vector_bits() // real.bitwidth)
        factor = v.splat(args[1])
        # Values of their own, or they would be computed once for all.
        starts = [ir.Constant(v.type, [float(i)] * v.lanes) for i in range(REGISTERS)]
        with flow.loop(builder, args[0], starts) as carried:
            carried[:] = [v.multiply_add(x, factor, factor) for x in carried]
        total = carried[0]
        for x in carried[1:]:
            total = builder.fadd(total, x)
        return builder.extract_element(total, flow.I32(0))

    return value(types.int64, value), codegen


@kernel("out.size")
def _fused(rounds, out, start, stop):
    for i in range(start, stop):
        # x = x / 2 + 1 / 2 stays near 1.
        out[i] = _multiply_add(rounds, out.dtype.type(0.5))


@intrinsic
def _memcpy(typingctx, target, source, count):
    def codegen(context, builder, signature, args):
        byte = ir.IntType(8).as_pointer()
        to, origin = (builder.inttoptr(address, byte) for address in args[:2])
        cgutils.raw_memcpy(builder, to, origin, args[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@kernel("source.size", LINE)
def _by_vectors(rounds, source, target, start, stop):
    source, target = source[start:stop], target[start:stop]
    for _ in range(rounds):
        for i in range(source.size):
            target[i] = source[i]
        source, target = target, source


@kernel("source.size", LINE)
def _by_bytes(rounds, source, target, start, stop):
    size, to, origin = source.itemsize, target.ctypes.data, source.ctypes.data
    for _ in range(rounds):
        _memcpy(to + start * size, origin + start * size, (stop - start) * size)
        to, origin = origin, to


def _arithmetic(real: Any) -> Any:
    def multiply_add(rounds, out, size, chunks):
        """See :func:`fastnn.kernels.limits.multiply_add`."""
        like = numba.carray(pointer(0), 0, real)
        return _fused(rounds, vector(out, size, like), chunks)

    return multiply_add


def _copies(loop: Any) -> Any:
    def make(real: Any) -> Any:
        def copy(rounds, source, target, size, chunks):
            """See :func:`fastnn.kernels.limits.copy`."""
            like = numba.carray(pointer(0), 0, real)
            return loop(rounds, vector(source, size, like), vector(target, size, like), chunks)

        return copy

    return make


PARTS = {
    "multiply_add": _arithmetic,
    "copy": _copies(_by_vectors),
    "copy_bytes": _copies(_by_bytes),
}
