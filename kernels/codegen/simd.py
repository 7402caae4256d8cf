"""What Numba has no words for, written as LLVM IR: vectors of a chosen width, denormal mode.

The IR is generic (LLVM's own vector types, fused multiply-add, masked loads and stores), but
for the flush-to-zero scope at the end, which exists for x86-64 and AArch64.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

I32 = ir.IntType(32)
I64 = ir.IntType(64)
BIT = ir.IntType(1)

WIDTHS = (512, 256, 128)


@functools.cache
def vector_bits() -> int:
    """Return the width of vectors: the host's, or what ``FASTNN_VECTOR_BITS`` asks for."""
    asked = os.environ.get("FASTNN_VECTOR_BITS")
    if asked:
        if asked not in map(str, WIDTHS):
            raise ValueError(f"FASTNN_VECTOR_BITS: expected one of {WIDTHS}, got {asked!r}")
        return int(asked)
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 512
    return 256 if features.get("avx2") else 128


def declare(module: ir.Module, name: str, result: ir.Type, args: Sequence[ir.Type]) -> ir.Function:
    """Return the function of that name, declared in the module if it was not."""
    function = module.globals.get(name)
    return function or ir.Function(module, ir.FunctionType(result, args), name)


def function(
    module: ir.Module,
    name: str,
    n_args: int,
    emit: Callable[[ir.IRBuilder, Sequence[ir.Value]], None],
) -> ir.Function:
    """Return the function of that name, of integers, emitted into the module if it was not."""
    found = module.globals.get(name)
    if found is None:
        found = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * n_args), name)
        found.linkage = "internal"
        found.attributes.add("noinline")
        builder = ir.IRBuilder(found.append_basic_block("entry"))
        emit(builder, found.args)
        builder.ret_void()
    return found


def call_one(
    builder: ir.IRBuilder,
    key: ir.Value,
    functions: Mapping[int, ir.Function],
    args: Sequence[ir.Value],
) -> None:
    """Emit a call of the function with that key, of none if there is none."""
    done = builder.append_basic_block("called")
    switch = builder.switch(key, done)
    for number, function in functions.items():
        block = builder.append_basic_block("call")
        switch.add_case(I64(number), block)
        with builder.goto_block(block):
            builder.call(function, args)
            builder.branch(done)
    builder.position_at_end(done)


class Vectors:
    """Emits operations on vectors of one element type.

    Parameters
    ----------
    builder : ir.IRBuilder
    real : {types.float32, types.float64}
    lanes : int
    """

    def __init__(self, builder: ir.IRBuilder, real: Any, lanes: int) -> None:
        self.builder = builder
        self.lanes = lanes
        self.size = real.bitwidth // 8
        self.scalar = ir.FloatType() if real == types.float32 else ir.DoubleType()
        self.type = ir.VectorType(self.scalar, lanes)
        self.zero = self.constant(0.0)
        self._suffix = f"v{lanes}f{real.bitwidth}"

    def _call(self, name: str, result: ir.Type, *args: ir.Value) -> ir.Value:
        function = declare(self.builder.module, name, result, [a.type for a in args])
        return self.builder.call(function, args)

    def constant(self, number: float) -> ir.Constant:
        """Return a vector of one number that is known now."""
        return ir.Constant(self.type, [number] * self.lanes)

    def offset(self, address: ir.Value, elements: int) -> ir.Value:
        """Return an address `elements` further on."""
        return self.builder.add(address, I64(elements * self.size)) if elements else address

    def splat(self, value: ir.Value) -> ir.Value:
        """Return a vector of one value."""
        vector = ir.VectorType(value.type, self.lanes)
        undefined = ir.Constant(vector, ir.Undefined)
        one = self.builder.insert_element(undefined, value, I32(0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, undefined, zeros)

    def broadcast(self, address: ir.Value) -> ir.Value:
        """Load one element into all lanes."""
        pointer = self.builder.inttoptr(address, self.scalar.as_pointer())
        return self.splat(self.builder.load(pointer, align=self.size))

    def mask(self, count: ir.Value) -> ir.Value:
        """Return a mask of the first `count` lanes (none if negative, all if more)."""
        lane = ir.Constant(ir.VectorType(I64, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", lane, self.splat(count))

    def load(self, address: ir.Value, mask: ir.Value | None = None) -> ir.Value:
        """Load a vector; lanes that the mask leaves out are zero and not touched."""
        pointer = self.builder.inttoptr(address, self.type.as_pointer())
        if mask is None:
            return self.builder.load(pointer, align=self.size)
        name = f"llvm.masked.load.{self._suffix}.p0"
        return self._call(name, self.type, pointer, I32(self.size), mask, self.zero)

    def gather(self, addresses: ir.Value, mask: ir.Value) -> ir.Value:
        """Load from a vector of addresses; lanes that the mask leaves out are zero."""
        name = f"llvm.masked.gather.{self._suffix}.v{self.lanes}p0"
        pointers = self.builder.inttoptr(
            addresses, ir.VectorType(self.scalar.as_pointer(), self.lanes)
        )
        return self._call(name, self.type, pointers, I32(self.size), mask, self.zero)

    def store(self, value: ir.Value, address: ir.Value, mask: ir.Value | None = None) -> None:
        """Store a vector; memory under lanes that the mask leaves out is not touched."""
        pointer = self.builder.inttoptr(address, self.type.as_pointer())
        if mask is None:
            self.builder.store(value, pointer, align=self.size)
        else:
            name = f"llvm.masked.store.{self._suffix}.p0"
            self._call(name, ir.VoidType(), value, pointer, I32(self.size), mask)

    def transpose(self, rows: list[ir.Value]) -> list[ir.Value]:
        """Return the columns of a square of as many vectors as they have lanes.

        Round by round, blocks of 1, 2, 4 ... lanes beside the diagonal change places.
        """
        lanes, block = range(self.lanes), 1
        while block < self.lanes:
            low = [e + self.lanes - block if e & block else e for e in lanes]
            high = [e + self.lanes if e & block else e + block for e in lanes]
            turned = list(rows)
            for i in lanes:
                if not i & block:
                    pair = rows[i], rows[i + block]
                    turned[i] = self._shuffle(*pair, low)
                    turned[i + block] = self._shuffle(*pair, high)
            rows, block = turned, 2 * block
        return rows

    def sums(self, rows: list[ir.Value]) -> ir.Value:
        """Return a vector of the sums over each of as many vectors as they have lanes.

        Round by round, the halves of each vector's blocks of lanes are added; two vectors
        become one.
        """
        lanes, block = range(self.lanes), self.lanes // 2
        while block:
            first = [e % block + e // (2 * block) * 2 * block for e in lanes]
            low = [f + self.lanes if e & block else f for e, f in zip(lanes, first, strict=True)]
            high = [e + block for e in low]
            pairs = zip(rows[:block], rows[block:], strict=True)
            rows = [
                self.builder.fadd(self._shuffle(*p, low), self._shuffle(*p, high)) for p in pairs
            ]
            block //= 2
        return rows[0]

    def cut(self, vector: ir.Value, first: int) -> ir.Value:
        """Return as many lanes of a longer vector, from `first` on."""
        undefined = ir.Constant(vector.type, ir.Undefined)
        lanes = list(range(first, first + self.lanes))
        order = ir.Constant(ir.VectorType(I32, self.lanes), lanes)
        return self.builder.shuffle_vector(vector, undefined, order)

    def _shuffle(self, a: ir.Value, b: ir.Value, lanes: list[int]) -> ir.Value:
        order = ir.Constant(ir.VectorType(I32, self.lanes), lanes)
        return self.builder.shuffle_vector(a, b, order)

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """Return a b + c: fused where the machine can, else two operations."""
        return self._call(f"llvm.fmuladd.{self._suffix}", self.type, a, b, c)


@contextmanager
def loop(builder: ir.IRBuilder, count: ir.Value, state: list[ir.Value]) -> Iterator[list[Any]]:
    """Emit a loop of `count` rounds, none if it is not positive, over values in registers.

    Yields the list of values at the start of a round; the body replaces them by those at its
    end. After the ``with`` block the list holds the values after the last round.
    """
    before = builder.block
    body = builder.append_basic_block("loop")
    done = builder.append_basic_block("done")
    builder.cbranch(builder.icmp_signed(">", count, I64(0)), body, done)
    builder.position_at_end(body)
    counter = builder.phi(I64)
    phis = [builder.phi(value.type) for value in state]
    carried: list[Any] = list(phis)
    yield carried
    after = builder.add(counter, I64(1))
    end = builder.block
    counter.add_incoming(I64(0), before)
    counter.add_incoming(after, end)
    for phi, first, last in zip(phis, state, carried, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(last, end)
    builder.cbranch(builder.icmp_signed("<", after, count), body, done)
    builder.position_at_end(done)
    for i, (first, last) in enumerate(zip(state, list(carried), strict=True)):
        merged = builder.phi(first.type)
        merged.add_incoming(first, before)
        merged.add_incoming(last, end)
        carried[i] = merged


@contextmanager
def when(builder: ir.IRBuilder, condition: ir.Value, state: list[ir.Value]) -> Iterator[None]:
    """Emit a block that runs under a condition and may replace values of the list `state`."""
    before, first = builder.block, list(state)
    with builder.if_then(condition):
        yield
        end = builder.block
    for i, value in enumerate(first):
        if state[i] is not value:
            merged = builder.phi(value.type)
            merged.add_incoming(state[i], end)
            merged.add_incoming(value, before)
            state[i] = merged


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


def machine_of(context: Any) -> str:
    """Return the triple of the machine that code is made for."""
    return str(context.codegen().magic_tuple()[0])


@intrinsic
def flush_denormals(typingctx):  # type: ignore[no-untyped-def]
    """Flush denormals to zero in this thread; return the mode that was set before.

    Arithmetic on denormal numbers takes a slow path in the processor; the moments of a unit
    that has died decay into that range and stay there.
    """

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        machine = machine_of(context)
        flush = _X86_FLUSH if machine.startswith("x86_64") else _ARM_FLUSH
        before = _read_mode(builder, machine)
        _write_mode(builder, machine, builder.or_(before, I64(flush)))
        return before

    return types.int64(), codegen


@intrinsic
def restore_denormals(typingctx, mode):  # type: ignore[no-untyped-def]
    """Put back the mode that :func:`flush_denormals` returned."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        _write_mode(builder, machine_of(context), args[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
