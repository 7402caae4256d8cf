"""Flush-to-zero: denormal numbers count as zero while a kernel runs, on x86-64 and AArch64.

Arithmetic on denormal numbers takes a slow path in the processor; the moments of a unit that has
died decay into that range and stay there.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.codegen.flow import I32, I64, declare, machine_of

# Intel SDM vol. 1, 10.2.3: flush-to-zero is bit 15 of MXCSR, denormals-are-zero bit 6.
_X86_FLUSH = (1 << 15) | (1 << 6)
# Arm ARM, FPCR: FZ is bit 24; it covers inputs and results.
_ARM_FLUSH = 1 << 24


def _mxcsr_slot(builder: ir.IRBuilder) -> tuple[ir.Value, ir.Value]:
    """Return a stack slot for MXCSR, and its address as LLVM's intrinsics want it."""
    with builder.goto_entry_block():
        slot = builder.alloca(I32)
    return slot, builder.bitcast(slot, ir.IntType(8).as_pointer())


def _read_mode(builder: ir.IRBuilder, machine: str) -> ir.Value:
    if machine.startswith("x86_64"):
        slot, address = _mxcsr_slot(builder)
        stmxcsr = declare(builder.module, "llvm.x86.sse.stmxcsr", ir.VoidType(), [address.type])
        builder.call(stmxcsr, [address])
        return builder.zext(builder.load(slot), I64)
    if machine.startswith(("aarch64", "arm64")):
        return builder.call(declare(builder.module, "llvm.aarch64.get.fpcr", I64, []), [])
    return I64(0)


def _write_mode(builder: ir.IRBuilder, machine: str, mode: ir.Value) -> None:
    if machine.startswith("x86_64"):
        slot, address = _mxcsr_slot(builder)
        builder.store(builder.trunc(mode, I32), slot)
        ldmxcsr = declare(builder.module, "llvm.x86.sse.ldmxcsr", ir.VoidType(), [address.type])
        builder.call(ldmxcsr, [address])
    elif machine.startswith(("aarch64", "arm64")):
        set_fpcr = declare(builder.module, "llvm.aarch64.set.fpcr", ir.VoidType(), [I64])
        builder.call(set_fpcr, [mode])


@intrinsic
def flush_denormals(typingctx):
    """Flush denormals to zero in this thread; return the mode that was set before."""

    def codegen(context, builder, signature, args):
        machine = machine_of(context)
        flush = _X86_FLUSH if machine.startswith("x86_64") else _ARM_FLUSH
        before = _read_mode(builder, machine)
        _write_mode(builder, machine, builder.or_(before, I64(flush)))
        return before

    return types.int64(), codegen


@intrinsic
def restore_denormals(typingctx, mode):
    """Put back the mode that :func:`flush_denormals` returned."""

    def codegen(context, builder, signature, args):
        _write_mode(builder, machine_of(context), args[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
