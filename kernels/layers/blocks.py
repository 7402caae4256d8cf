"""Blocks of elements, rows that are some step apart, copied or added to others.

Images are taken apart into rows as short as those of a filter or of the output: what a loop over
slices takes to begin would be most of its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen import flow, simd
from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.codegen.flow import I64
from fastnn.kernels.plain.level import vector_bits


def _function(module: ir.Module, real: Any, add: bool) -> ir.Function:
    def emit(b: ir.IRBuilder, args: Sequence[ir.Value]) -> None:
        source, source_step, target, target_step, rows, columns = args
        widest = vector_bits() // real.bitwidth

        def move(at: list[ir.Value], lanes: int) -> list[ir.Value]:
            v = simd.Vectors(b, real, lanes)
            value = v.load(at[0])
            if add:
                value = b.fadd(v.load(at[1]), value)
            v.store(value, at[1])
            return [v.offset(address, lanes) for address in at]

        with flow.loop(b, rows, [source, target]) as heads:
            with flow.loop(b, b.sdiv(columns, I64(widest)), list(heads)) as at:
                at[:] = move(at, widest)
            # The rest in ever shorter vectors. Masked ones take no longer, but a store of one
            # holds up loads from all of its span, in which the next row may begin.
            lanes = widest // 2
            while lanes:
                some = b.icmp_signed("!=", b.and_(columns, I64(lanes)), I64(0))
                with flow.when(b, some, at):
                    at[:] = move(at, lanes)
                lanes //= 2
            steps = source_step, target_step
            heads[:] = [b.add(head, step) for head, step in zip(heads, steps, strict=True)]

    return flow.function(module, f"fastnn.{'add' if add else 'copy'}.{real}", 6, emit)


def _compiled(zero: Any, add: bool) -> Any:
    """Return what an intrinsic returns: its signature, and its code."""
    if zero not in (types.float32, types.float64):
        return None

    def codegen(context, builder, signature, args):
        builder.call(_function(builder.module, zero, add), args[:6])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6, zero), codegen


@intrinsic
def copy_block(typingctx, source, source_step, target, target_step, rows, columns, zero):
    """Copy elements of the type of `zero`; addresses and steps are in bytes."""
    return _compiled(zero, add=False)


@intrinsic
def add_block(typingctx, source, source_step, target, target_step, rows, columns, zero):
    """Add elements of the type of `zero` to others; addresses and steps are in bytes."""
    return _compiled(zero, add=True)
