"""Vectors of a chosen width, written as LLVM IR, for which Numba has no words.

The IR is generic: LLVM's own vector types, fused multiply-add, masked loads and stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen.flow import I32, I64, declare


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
        self.real, self.lanes = real, lanes
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
        b, kind = self.builder, ir.IntType(8 * self.size)
        if kind != I64:  # as many bits as the vectors have, so that one comparison does it
            count = b.select(b.icmp_signed("<", count, I64(self.lanes)), count, I64(self.lanes))
            count = b.trunc(b.select(b.icmp_signed("<", count, I64(0)), I64(0), count), kind)
        lane = ir.Constant(ir.VectorType(kind, self.lanes), list(range(self.lanes)))
        return b.icmp_signed("<", lane, self.splat(count))

    def load(self, address: ir.Value, mask: ir.Value | None = None) -> ir.Value:
        """Load a vector; lanes that the mask leaves out are zero and not touched."""
        pointer = self.builder.inttoptr(address, self.type.as_pointer())
        if mask is None:
            return self.builder.load(pointer, align=self.size)
        name = f"llvm.masked.load.{self._suffix}.p0"
        return self._call(name, self.type, pointer, I32(self.size), mask, self.zero)

    def prefetch(self, address: ir.Value) -> None:
        """Have a cache line come into the first-level cache, if there is memory at the address."""
        pointer = self.builder.inttoptr(address, ir.IntType(8).as_pointer())
        self._call("llvm.prefetch.p0", ir.VoidType(), pointer, I32(0), I32(3), I32(1))

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
                    turned[i] = self.shuffle(*pair, low)
                    turned[i + block] = self.shuffle(*pair, high)
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
            rows = [self.builder.fadd(self.shuffle(*p, low), self.shuffle(*p, high)) for p in pairs]
            block //= 2
        return rows[0]

    def total(self, vector: ir.Value) -> ir.Value:
        """Return the sum over the lanes of one vector, in any order."""
        name = f"llvm.vector.reduce.fadd.{self._suffix}"
        args = [ir.Constant(self.scalar, -0.0), vector]
        types = [a.type for a in args]
        function = declare(self.builder.module, name, self.scalar, types)
        return self.builder.call(function, args, fastmath=("reassoc",))

    def cut(self, vector: ir.Value, first: int) -> ir.Value:
        """Return as many lanes of a longer vector, from `first` on."""
        undefined = ir.Constant(vector.type, ir.Undefined)
        lanes = list(range(first, first + self.lanes))
        order = ir.Constant(ir.VectorType(I32, self.lanes), lanes)
        return self.builder.shuffle_vector(vector, undefined, order)

    def shuffle(self, a: ir.Value, b: ir.Value, lanes: Sequence[int]) -> ir.Value:
        """Return lanes of two vectors, counted through both."""
        order = ir.Constant(ir.VectorType(I32, self.lanes), list(lanes))
        return self.builder.shuffle_vector(a, b, order)

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """Return a b + c: fused where the machine can, else two operations."""
        return self._call(f"llvm.fmuladd.{self._suffix}", self.type, a, b, c)

    def positive(self, value: ir.Value) -> ir.Value:
        """Return zeros where a value is below; NaN is not, and passes."""
        below = self.builder.fcmp_ordered("<=", value, self.zero)
        return self.builder.select(below, self.zero, value)

    def ones(self) -> ir.Value:
        """Return ones that the compiler takes for any number, so that it keeps products by them.

        p 1 + q has the bits of p + q, and takes other units of the machine: a loop that is full of
        sums has both kinds busy by it.
        """
        same = ir.InlineAsm(ir.FunctionType(I64, [I64]), "", "=r,0")
        one = self.builder.call(same, [I64(1)])
        return self.splat(self.builder.uitofp(one, self.scalar))

    def root(self, value: ir.Value) -> ir.Value:
        """Return the square root."""
        return self._call(f"llvm.sqrt.{self._suffix}", self.type, value)
