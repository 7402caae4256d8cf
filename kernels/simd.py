"""What Numba has no words for, written as LLVM IR: the flush-to-zero mode of the processor.

Arithmetic on denormal numbers takes a slow path in the processor; the moments of a unit that
has died decay into that range and stay there. Kernels therefore flush denormals to zero, in
every thread that takes part, and put the caller's mode back.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_I32 = ir.IntType(32)
_I64 = ir.IntType(64)

# Intel SDM vol. 1, 10.2.3: flush-to-zero is bit 15 of MXCSR, denormals-are-zero bit 6.
_X86_FLUSH = (1 << 15) | (1 << 6)
# Arm ARM, FPCR: FZ is bit 24; it covers inputs and results.
_ARM_FLUSH = 1 << 24


def _call(builder: ir.IRBuilder, name: str, result: ir.Type, *args: ir.Value) -> ir.Value:
    function_type = ir.FunctionType(result, [a.type for a in args])
    module = builder.module
    function = module.globals.get(name) or ir.Function(module, function_type, name)
    return builder.call(function, args)


def _mxcsr_slot(builder: ir.IRBuilder) -> tuple[ir.Value, ir.Value]:
    """Return a stack slot for MXCSR, and its address as LLVM's intrinsics want it."""
    with builder.goto_entry_block():
        slot = builder.alloca(_I32)
    return slot, builder.bitcast(slot, ir.IntType(8).as_pointer())


def _read_mode(builder: ir.IRBuilder, machine: str) -> ir.Value:
    if machine.startswith("x86_64"):
        slot, address = _mxcsr_slot(builder)
        _call(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), address)
        return builder.zext(builder.load(slot), _I64)
    if machine.startswith(("aarch64", "arm64")):
        return _call(builder, "llvm.aarch64.get.fpcr", _I64)
    return ir.Constant(_I64, 0)


def _write_mode(builder: ir.IRBuilder, machine: str, mode: ir.Value) -> None:
    if machine.startswith("x86_64"):
        slot, address = _mxcsr_slot(builder)
        builder.store(builder.trunc(mode, _I32), slot)
        _call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), address)
    elif machine.startswith(("aarch64", "arm64")):
        _call(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), mode)


def _machine(context: Any) -> str:
    return str(context.codegen().magic_tuple()[0])


@intrinsic
def flush_denormals(typingctx):  # type: ignore[no-untyped-def]
    """Flush denormals to zero in this thread; return the mode that was set before."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        machine = _machine(context)
        flush = _X86_FLUSH if machine.startswith("x86_64") else _ARM_FLUSH
        before = _read_mode(builder, machine)
        _write_mode(builder, machine, builder.or_(before, ir.Constant(_I64, flush)))
        return before

    return types.int64(), codegen


@intrinsic
def restore_denormals(typingctx, mode):  # type: ignore[no-untyped-def]
    """Put back the mode that :func:`flush_denormals` returned."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        _write_mode(builder, _machine(context), args[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
