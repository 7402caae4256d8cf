"""Scalar products of the rows of two matrices, C = A B^T, for few rows of A.

Both operands are read along their rows, so B need not be transposed first. The products are
kept in registers, one vector each, and summed at the end in an order that depends on the
length alone. Addresses and strides are in bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen import flow, simd
from fastnn.kernels.codegen.compile import intrinsic, serial
from fastnn.kernels.codegen.flow import I64
from fastnn.kernels.gemm.sizes import BITS
from fastnn.kernels.tuning import COMMON

LANES32, LANES64 = BITS // 32, BITS // 64
# Rows of A at a time. The products of a step fill one vector when they are summed, so more
# rows of A mean fewer of B, two at least.
HEIGHTS = tuple(rows for rows in COMMON.dots_rows if 2 * rows <= LANES64)


class _Dots:
    """Emits the code of one height.

    The arguments are those of :func:`dots`, in its order, less the last two.
    """

    def __init__(self, builder: ir.IRBuilder, args: Sequence[ir.Value], real: Any, rows: int):
        self.b = builder
        self.k, a, a_row, b, b_row, self.c, self.c_row, self.columns = args
        self.v = simd.Vectors(builder, real, BITS // real.bitwidth)
        self.results = simd.Vectors(builder, real, self.v.lanes // rows)
        last = builder.sub(self.columns, I64(1))
        self.a_rows = [builder.add(a, builder.mul(a_row, I64(i))) for i in range(rows)]
        self.b_rows = []
        for j in range(self.results.lanes):
            # Beyond the last row of B, that one again.
            row = builder.select(builder.icmp_signed("<", last, I64(j)), last, I64(j))
            self.b_rows.append(builder.add(b, builder.mul(b_row, row)))

    def emit(self) -> None:
        v, b = self.v, self.b
        whole = b.sdiv(self.k, I64(v.lanes))
        with flow.loop(b, whole, [I64(0)] + [v.zero] * v.lanes) as carried:
            at, *dots = carried
            carried[:] = [b.add(at, I64(v.lanes * v.size)), *self._step(at, dots, None)]
        at, *dots = carried
        rest = b.sub(self.k, b.mul(whole, I64(v.lanes)))
        with flow.when(b, b.icmp_signed(">", rest, I64(0)), dots):
            dots[:] = self._step(at, dots, v.mask(rest))
        self._store(v.sums(dots))

    def _step(self, at: ir.Value, dots: list[ir.Value], mask: ir.Value | None) -> list[ir.Value]:
        v, b = self.v, self.b
        a_vectors = [v.load(b.add(row, at), mask) for row in self.a_rows]
        b_vectors = [v.load(b.add(row, at), mask) for row in self.b_rows]
        pairs = [(x, y) for x in a_vectors for y in b_vectors]
        return [v.multiply_add(x, y, dot) for (x, y), dot in zip(pairs, dots, strict=True)]

    def _store(self, sums: ir.Value) -> None:
        mask = self.results.mask(self.columns)
        for i in range(len(self.a_rows)):
            part = self.results.cut(sums, i * self.results.lanes)
            row = self.b.add(self.c, self.b.mul(self.c_row, I64(i)))
            self.results.store(part, row, mask)


def _function(module: ir.Module, real: Any, rows: int) -> ir.Function:
    return flow.function(
        module,
        f"fastnn.dots.{real}.{rows}",
        8,
        lambda builder, args: _Dots(builder, args, real, rows).emit(),
    )


@intrinsic
def dots(typingctx, k, a, a_row, b, b_row, c, c_row, columns, rows, zero):
    """Compute the products of `rows` rows of A with a vector's lanes / rows rows of B.

    Parameters
    ----------
    k : int
        Length of a row of A and of B.
    a, a_row, b, b_row, c, c_row : int
        Addresses of the first elements, and steps to the next row.
    columns : int
        Rows of B from here to the matrix's end, at least one; beyond them nothing is read,
        nor beyond as many columns of C written.
    rows : int
        One of `HEIGHTS`.
    zero : float
        Of the matrices' type.
    """
    if zero not in (types.float32, types.float64):
        return None
    signature = types.void(*[types.int64] * 9, zero)

    def codegen(context, builder, signature, args):
        *common, rows_, _ = args
        functions = {n: _function(builder.module, zero, n) for n in HEIGHTS}
        flow.call_one(builder, rows_, functions, common)
        return context.get_dummy_value()

    return signature, codegen


@serial
def multiply_rows(a, b, c, start, stop, pieces):
    """Compute pieces of C = A B^T, cut by columns of C, which are rows of B."""
    lanes = LANES32 if c.itemsize == 4 else LANES64
    m, k = a.shape
    groups = (b.shape[0] + lanes - 1) // lanes
    left, right = groups * start // pieces * lanes, groups * stop // pieces * lanes
    right = min(right, b.shape[0])
    for j0 in range(left, right, lanes):
        i = 0
        while i < m:
            rows = 1
            for height in HEIGHTS[::-1]:
                if height <= m - i:
                    rows = height
            for j in range(j0, min(j0 + lanes, right), lanes // rows):
                dots(
                    k, a.ctypes.data + i * a.strides[0], a.strides[0],
                    b.ctypes.data + j * b.strides[0], b.strides[0],
                    c.ctypes.data + i * c.strides[0] + j * c.itemsize, c.strides[0],
                    b.shape[0] - j, rows, a.dtype.type(0),
                )  # fmt: skip
            i += rows
