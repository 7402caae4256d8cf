"""Memory that threads share: atomic operations on 64-bit integers, and calls through an address.

Addresses are integers. All operations are sequentially consistent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen import flow
from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.codegen.flow import I32, I64, declare, machine_of

_ORDER = "seq_cst"


def _signature(arguments: tuple[Any, ...], emit: Callable[..., Any]) -> Any:
    """Return what an intrinsic returns: int64 from int64 arguments, and its code."""
    if not all(isinstance(a, types.Integer) for a in arguments):
        return None

    def codegen(context, builder, signature, values):
        return emit(builder, *values)

    return types.int64(*[types.int64] * len(arguments)), codegen


def _pointer(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    return builder.inttoptr(address, I64.as_pointer())


@intrinsic
def load(typingctx, address):
    """Return what stands at an address."""

    def emit(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
        return builder.load_atomic(_pointer(builder, address), _ORDER, align=8)

    return _signature((address,), emit)


@intrinsic
def store(typingctx, address, value):
    """Write to an address; return the value."""

    def emit(builder: ir.IRBuilder, address: ir.Value, value: ir.Value) -> ir.Value:
        builder.store_atomic(value, _pointer(builder, address), _ORDER, align=8)
        return value

    return _signature((address, value), emit)


@intrinsic
def add(typingctx, address, value):
    """Add to what stands at an address; return what stood there."""

    def emit(builder: ir.IRBuilder, address: ir.Value, value: ir.Value) -> ir.Value:
        return builder.atomic_rmw("add", _pointer(builder, address), value, _ORDER)

    return _signature((address, value), emit)


@intrinsic
def replace(typingctx, address, old, new):
    """Write `new` if `old` stands there (compare and swap); return 1 if so, else 0."""

    def emit(builder: ir.IRBuilder, address: ir.Value, old: ir.Value, new: ir.Value) -> ir.Value:
        swapped = builder.cmpxchg(_pointer(builder, address), old, new, _ORDER, _ORDER)
        return builder.zext(builder.extract_value(swapped, 1), I64)

    return _signature((address, old, new), emit)


@intrinsic
def pause(typingctx):
    """Tell the processor that this thread spins: some 10 to 100 ns, and less power."""

    def codegen(context, builder, signature, args):
        machine = machine_of(context)
        if machine.startswith("x86_64"):
            builder.call(declare(builder.module, "llvm.x86.sse2.pause", ir.VoidType(), []), [])
        elif machine.startswith(("aarch64", "arm64")):
            hint = declare(builder.module, "llvm.aarch64.hint", ir.VoidType(), [I32])
            builder.call(hint, [I32(1)])  # YIELD
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def give_way(typingctx):
    """Let another thread that waits for this processor run first."""

    def codegen(context, builder, signature, args):
        name = "SwitchToThread" if os.name == "nt" else "sched_yield"
        builder.call(declare(builder.module, name, I32, []), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def nap(typingctx, nanoseconds):
    """Leave the processor to others for so long at least; a second is too long.

    A processor that has nothing to do fetches a thread that waits for another one.
    """

    def emit(builder: ir.IRBuilder, nanoseconds: ir.Value) -> ir.Value:
        with builder.goto_entry_block():
            span = builder.alloca(I64, size=2)
        builder.store(I64(0), span)
        builder.store(nanoseconds, builder.gep(span, [I32(1)]))
        sleep = declare(builder.module, "nanosleep", I32, [span.type, span.type])
        builder.call(sleep, [span, ir.Constant(span.type, None)])
        return I64(0)

    return _signature((nanoseconds,), emit)


@intrinsic
def call(typingctx, function, args):
    """Call the function at an address, with a tuple of integers.

    The function of a job takes the address of its data, a chunk, and the number of the thread.
    """
    if not isinstance(args, types.UniTuple):
        return None

    def codegen(context, builder, signature, values):
        kind = ir.FunctionType(ir.VoidType(), [I64] * args.count)
        numbers = [builder.extract_value(values[1], i) for i in range(args.count)]
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), numbers)
        return context.get_dummy_value()

    return types.void(types.int64, types.UniTuple(types.int64, args.count)), codegen


def symbol(name: str) -> Any:
    """Return an intrinsic that returns the address of a name (``llvmlite.binding.add_symbol``).

    Machine code that is kept on disk finds the name anew in each process.
    """

    @intrinsic
    def address(typingctx):
        def codegen(context, builder, signature, args):
            module = builder.module
            variable = module.globals.get(name) or ir.GlobalVariable(module, I64, name)
            return builder.ptrtoint(variable, I64)

        return types.int64(), codegen

    return address


def _new_job(typingctx, body, args, n, length, told):
    """Return what an intrinsic returns: the types of :func:`job`, and its code.

    `told` says whether the function passes the number of the thread on to `body`.
    """
    types_ = (*args.types, *[types.int64] * (3 if told else 2))
    body_signature = body.get_call_type(typingctx, types_, {})
    result = types.UniTuple(types.int64, 2)

    def codegen(context, builder, signature, values):
        compiled = body.dispatcher.get_compile_result(body_signature)
        context.add_linking_libs([compiled.library])
        tuple_type = context.get_value_type(args)
        data_type = ir.LiteralStructType([I64, I64, tuple_type])
        with builder.goto_entry_block():
            data = builder.alloca(data_type)

        def part(builder: ir.IRBuilder, data: ir.Value, i: int) -> ir.Value:
            return builder.gep(data, [I32(0), I32(i)])

        for i, value in enumerate((values[2], values[3], values[1])):
            builder.store(value, part(builder, data, i))

        def emit(inner: ir.IRBuilder, arguments: Sequence[ir.Value]) -> None:
            address, chunk, thread = arguments
            theirs = inner.inttoptr(address, data_type.as_pointer())
            n_, length_, packed = (inner.load(part(inner, theirs, i)) for i in range(3))

            def clip(value: ir.Value) -> ir.Value:
                return inner.select(inner.icmp_signed("<", value, n_), value, n_)

            start = clip(inner.mul(chunk, length_))
            stop = clip(inner.add(inner.mul(chunk, length_), length_))
            unpacked = [inner.extract_value(packed, i) for i in range(len(args.types))]
            unpacked += [thread] if told else []
            context.call_internal_no_propagate(
                inner, compiled.fndesc, compiled.signature, [*unpacked, start, stop]
            )

        name = builder.module.get_unique_name("fastnn.chunk")
        function = flow.function(builder.module, name, 3, emit)
        addresses = [builder.ptrtoint(x, I64) for x in (function, data)]
        return context.make_tuple(builder, result, addresses)

    return result(body, args, n, length), codegen


@intrinsic
def job(typingctx, body, args, n, length):
    """Return the address of a function for :func:`call`, and that of its data.

    The function calls `body`, a compiled function, as ``body(*args, start, stop)`` for the
    chunk from ``chunk * length`` to the next, but not beyond n. The data stand in the stack
    frame of the caller.
    """
    return _new_job(typingctx, body, args, n, length, told=False)


@intrinsic
def told_job(typingctx, body, args, n, length):
    """Do as :func:`job`; the body is called as ``body(*args, thread, start, stop)``."""
    return _new_job(typingctx, body, args, n, length, told=True)
