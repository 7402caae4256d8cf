"""Blocks of elements, rows that are some step apart, copied or added to others.

Images are taken apart into rows as short as those of a filter or of the output: what a loop over
slices takes to begin would be most of its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastnn.kernels import simd
from fastnn.kernels.simd import I64


def _function(module: ir.Module, real: Any, add: bool) -> ir.Function:
    def emit(builder: ir.IRBuilder, args: Sequence[ir.Value]) -> None:
        source, source_step, target, target_step, rows, columns = args
        v = simd.Vectors(builder, real, simd.vector_bits() // real.bitwidth)
        whole = builder.sdiv(columns, I64(v.lanes))
        rest = builder.srem(columns, I64(v.lanes))
        mask = v.mask(rest)

        def move(source: ir.Value, target: ir.Value, mask: ir.Value | None) -> None:
            value = v.load(source, mask)
            if add:
                value = builder.fadd(v.load(target, mask), value)
            v.store(value, target, mask)

        with simd.loop(builder, rows, [source, target]) as heads:
            with simd.loop(builder, whole, list(heads)) as at:
                move(*at, None)
                at[:] = [v.offset(address, v.lanes) for address in at]
            with builder.if_then(builder.icmp_signed(">", rest, I64(0))):
                move(*at, mask)
            steps = source_step, target_step
            heads[:] = [builder.add(head, step) for head, step in zip(heads, steps, strict=True)]

    return simd.function(module, f"fastnn.{'add' if add else 'copy'}.{real}", 6, emit)


def _compiled(zero: Any, add: bool) -> Any:
    """Return what an intrinsic returns: its signature, and its code."""
    if zero not in (types.float32, types.float64):
        return None

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        builder.call(_function(builder.module, zero, add), args[:6])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6, zero), codegen


@intrinsic
def copy_block(typingctx, source, source_step, target, target_step, rows, columns, zero):  # type: ignore[no-untyped-def]
    """Copy elements of the type of `zero`; addresses and steps are in bytes."""
    return _compiled(zero, add=False)


@intrinsic
def add_block(typingctx, source, source_step, target, target_step, rows, columns, zero):  # type: ignore[no-untyped-def]
    """Add elements of the type of `zero` to others; addresses and steps are in bytes."""
    return _compiled(zero, add=True)
