"""Loops at the limits of the machine, for benchmarks to compare with.

They are cut and run by the same threads as the kernels, and have no reference: what they compute
is of no use.
"""

import platform

from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastnn.kernels.codegen import flow, simd
from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.plain.level import vector_bits
from fastnn.kernels.threading.driver import LINE, kernel

# Registers that do not wait for each other: more than the latency of the instruction (4 cycles)
# times the units that do it (2, or 4 on some Arm cores), and no more than there are.
REGISTERS = 24 if vector_bits() == 512 or platform.machine() in ("aarch64", "arm64") else 12


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
def multiply_add(rounds, out, start, stop):
    """Do nothing but fused multiply-adds in registers, for each element of out."""
    for i in range(start, stop):
        # x = x / 2 + 1 / 2 stays near 1.
        out[i] = _multiply_add(rounds, out.dtype.type(0.5))


def flops(rounds, out):
    """Return how many operations :func:`multiply_add` does."""
    lanes = vector_bits() // (8 * out.itemsize)
    return 2 * lanes * REGISTERS * rounds * out.size


@intrinsic
def _copy_bytes(typingctx, target, source, count):
    def codegen(context, builder, signature, args):
        byte = ir.IntType(8).as_pointer()
        to, origin = (builder.inttoptr(address, byte) for address in args[:2])
        cgutils.raw_memcpy(builder, to, origin, args[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@kernel("source.size", LINE)
def copy(rounds, source, target, start, stop):
    """Copy a flat array to another and back, `rounds` times in all, vector by vector."""
    source, target = source[start:stop], target[start:stop]
    for _ in range(rounds):
        for i in range(source.size):
            target[i] = source[i]
        source, target = target, source


@kernel("source.size", LINE)
def copy_bytes(rounds, source, target, start, stop):
    """Copy as :func:`copy` with the C library's memcpy; it passes large arrays by the cache."""
    size, to, origin = source.itemsize, target.ctypes.data, source.ctypes.data
    for _ in range(rounds):
        _copy_bytes(to + start * size, origin + start * size, (stop - start) * size)
        to, origin = origin, to
