"""Words at addresses: what compiled code reads and writes without an array, and calls with results.

Addresses are integers, words are 64 bits long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.codegen.flow import I64

WORD = 8  # bytes

_DOUBLE = ir.DoubleType()


def _are_integers(*arguments: Any) -> bool:
    return all(isinstance(a, types.Integer) for a in arguments)


def _pointer(builder: ir.IRBuilder, address: ir.Value, kind: ir.Type = I64) -> ir.Value:
    return builder.inttoptr(address, kind.as_pointer())


def _reading(bits: int) -> Callable[..., Any]:
    """Return what emits the read of an integer of so many bits at an address."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        kind = ir.IntType(bits)
        value = builder.load(_pointer(builder, args[0], kind), align=bits // 8)
        return builder.sext(value, I64) if bits < 64 else value

    return codegen


@intrinsic
def word(typingctx, address):
    """Return the word at an address."""
    return (types.int64(types.int64), _reading(64)) if _are_integers(address) else None


@intrinsic
def half(typingctx, address):
    """Return the 32 bits at an address, with their sign."""
    return (types.int64(types.int64), _reading(32)) if _are_integers(address) else None


@intrinsic
def put(typingctx, address, value):
    """Write a word to an address."""

    def codegen(context, builder, signature, args):
        builder.store(args[1], _pointer(builder, args[0]), align=WORD)
        return context.get_dummy_value()

    return (
        (types.void(types.int64, types.int64), codegen) if _are_integers(address, value) else None
    )


@intrinsic
def item(typingctx, table, index):
    """Return a word of a table."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.gep(_pointer(builder, args[0]), [args[1]]), align=WORD)

    return (types.int64(types.int64, types.int64), codegen) if _are_integers(table, index) else None


@intrinsic
def set_item(typingctx, table, index, value):
    """Write a word of a table."""

    def codegen(context, builder, signature, args):
        builder.store(args[2], builder.gep(_pointer(builder, args[0]), [args[1]]), align=WORD)
        return context.get_dummy_value()

    kind = types.void(types.int64, types.int64, types.int64)
    return (kind, codegen) if _are_integers(table, index, value) else None


@intrinsic
def number(typingctx, address):
    """Return the float64 at an address."""

    def codegen(context, builder, signature, args):
        return builder.load(_pointer(builder, args[0], _DOUBLE), align=WORD)

    return (types.float64(types.int64), codegen) if _are_integers(address) else None


@intrinsic
def ask(typingctx, function, args):
    """Call the function at an address, with a tuple of integers; return the integer it returns."""
    if not isinstance(args, types.UniTuple):
        return None

    def codegen(context, builder, signature, values):
        kind = ir.FunctionType(I64, [I64] * args.count)
        numbers = [builder.extract_value(values[1], i) for i in range(args.count)]
        return builder.call(builder.inttoptr(values[0], kind.as_pointer()), numbers)

    return types.int64(types.int64, types.UniTuple(types.int64, args.count)), codegen


@intrinsic
def stack(typingctx, words):
    """Return the address of so many words, a constant, that last until the function returns."""
    if not isinstance(words, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        with builder.goto_entry_block():
            memory = builder.alloca(ir.ArrayType(I64, words.literal_value))
        return builder.ptrtoint(memory, I64)

    return types.int64(words), codegen
