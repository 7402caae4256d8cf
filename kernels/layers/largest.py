"""The largest element of each window in a row of windows, a vector of windows at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen import flow, simd
from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.codegen.flow import I32, I64
from fastnn.kernels.plain.level import vector_bits

BITS = vector_bits()

Load = Callable[[simd.Vectors, ir.Value, ir.Value, ir.Value], ir.Value]


def _neighbours(v: simd.Vectors, address: ir.Value, count: ir.Value, step: ir.Value) -> ir.Value:
    """Load elements side by side."""
    return v.load(address, v.mask(count))


def _every_second(v: simd.Vectors, address: ir.Value, count: ir.Value, step: ir.Value) -> ir.Value:
    """Load every second element, none beyond the last."""
    span = v.builder.sub(v.builder.add(count, count), I64(1))
    low = v.load(address, v.mask(span))
    high = v.load(v.offset(address, v.lanes), v.mask(v.builder.sub(span, I64(v.lanes))))
    order = ir.Constant(ir.VectorType(I32, v.lanes), list(range(0, 2 * v.lanes, 2)))
    return v.builder.shuffle_vector(low, high, order)


def _apart(v: simd.Vectors, address: ir.Value, count: ir.Value, step: ir.Value) -> ir.Value:
    """Load elements any step apart."""
    b = v.builder
    lanes = ir.Constant(ir.VectorType(I64, v.lanes), list(range(v.lanes)))
    addresses = b.add(v.splat(address), b.mul(lanes, v.splat(b.mul(step, I64(v.size)))))
    return v.gather(addresses, v.mask(count))


def _function(module: ir.Module, real: Any, name: str, load: Load) -> ir.Function:
    def emit(b: ir.IRBuilder, args: Sequence[ir.Value]) -> None:
        x, x_step, height, width, stride, out, argmax, columns = args
        v = simd.Vectors(b, real, BITS // real.bitwidth)
        as_floats = simd.Vectors(b, types.float32, v.lanes)  # how places are stored
        places = ir.VectorType(I32, v.lanes)
        least, first = v.constant(float("-inf")), ir.Constant(places, [0] * v.lanes)
        blocks = b.sdiv(b.add(columns, I64(v.lanes - 1)), I64(v.lanes))
        block_step = b.mul(stride, I64(v.lanes * v.size))
        with flow.loop(b, blocks, [x, out, argmax, columns]) as at:
            x, out, argmax, count = at
            with flow.loop(b, height, [x, I32(0), least, first]) as rows:
                row, *state = rows
                with flow.loop(b, width, [row, *state]) as windows:
                    address, number, largest, place = windows
                    value = load(v, address, count, stride)
                    # Larger, or the first NaN.
                    taken = b.and_(
                        b.fcmp_unordered(">", value, largest),
                        b.fcmp_ordered("ord", largest, largest),
                    )
                    windows[:] = [
                        v.offset(address, 1),
                        b.add(number, I32(1)),
                        b.select(taken, value, largest),
                        b.select(taken, v.splat(number), place),
                    ]
                rows[:] = [b.add(row, x_step), *windows[1:]]
            _, _, largest, place = rows
            mask = v.mask(count)
            v.store(largest, out, mask)
            as_floats.store(b.bitcast(place, as_floats.type), argmax, mask)
            at[:] = [
                b.add(x, block_step),
                v.offset(out, v.lanes),
                as_floats.offset(argmax, v.lanes),
                b.sub(count, I64(v.lanes)),
            ]

    return flow.function(module, f"fastnn.largest.{real}.{name}", 8, emit)


@intrinsic
def largest_of_windows(typingctx, x, x_step, height, width, stride, out, argmax, columns, zero):
    """Write the largest element of each window in a row of windows, and its place.

    Parameters
    ----------
    x, x_step : int
        Address of the first window's first element, and step to its next row, in bytes.
    height, width : int
        Of a window.
    stride : int
        Elements from a window to the next.
    out, argmax : int
        Addresses of the first largest element and, as a 32-bit integer, place.
    columns : int
        Number of windows.
    zero : float
        Of the elements' type.
    """
    if zero not in (types.float32, types.float64):
        return None

    def codegen(context, builder, signature, args):
        stride, rest = args[4], I64(0)
        one, two = (builder.icmp_signed("==", stride, I64(n)) for n in (1, 2))
        key = builder.select(one, I64(1), builder.select(two, I64(2), rest))
        loads = {1: _neighbours, 2: _every_second, 0: _apart}
        functions = {
            n: _function(builder.module, zero, load.__name__, load) for n, load in loads.items()
        }
        flow.call_one(builder, key, functions, args[:8])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 8, zero), codegen
