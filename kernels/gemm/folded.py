"""Tiles of so few columns that a vector holds several rows of them.

A product with 100 columns leaves 4 beside six vectors of 16, which take as long as 16 would. Here a
vector has G columns of each of F rows, F G lanes, F = 2 or 4:

    C[rows, G] = relu([C +] A[rows, k] B[k, G] [+ bias])

For each k a vector of A has F elements, each G times, and one of B has its row F times. Sums are in
ascending order of k, as in :mod:`fastnn.kernels.gemm.microkernel`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen import flow, simd
from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.codegen.flow import I64
from fastnn.kernels.gemm.sizes import ACCUMULATE, BITS, FOLDS, RELU, SUMS


class _Folded:
    """Emits the code of one fold; the arguments are those of :func:`folded`, in its order."""

    def __init__(
        self, builder: ir.IRBuilder, args: Sequence[ir.Value], real: Any, fold: int
    ) -> None:
        self.b, self.fold = builder, fold
        (self.k, self.a, self.a_row, self.a_k, self.b0, self.b_k, self.c, self.c_row, columns,
         self.bias, self.flags) = args  # fmt: skip
        self.v = simd.Vectors(builder, real, BITS // real.bitwidth)
        self.group = simd.Vectors(builder, real, self.v.lanes // fold)
        self.mask = self.group.mask(columns)

    def emit(self, transposed: bool) -> None:
        """Emit the tile of `SUMS` vectors of rows."""
        v, b = self.v, self.b
        zeros = [v.zero] * SUMS
        if transposed:
            with flow.loop(b, self.k, [self.a, self.b0, *zeros]) as carried:
                a, row, *sums = carried
                sums = self._step(sums, self._side_by_side(a), self._row_of_b(row))
                carried[:] = [b.add(a, self.a_k), b.add(row, self.b_k), *sums]
            self._store(list(carried[2:]))
            return
        deep = self.group.lanes
        whole = b.sdiv(self.k, I64(deep))
        with flow.loop(b, whole, [self.a, self.b0, *zeros]) as carried:
            a, row, *sums = carried
            rows = []
            for _ in range(deep):
                rows.append(self._row_of_b(row))
                row = b.add(row, self.b_k)
            at = a
            for s in range(SUMS):
                parts = []
                for _ in range(self.fold):
                    parts.append(self.group.load(at))
                    at = b.add(at, self.a_row)
                block = self._joined(parts)
                for q, of_b in enumerate(rows):
                    sums[s] = v.multiply_add(self._spread(block, q), of_b, sums[s])
            carried[:] = [v.offset(a, deep), row, *sums]
        rest = b.sub(self.k, b.mul(whole, I64(deep)))
        with flow.loop(b, rest, list(carried)) as carried:
            a, row, *sums = carried
            sums = self._step(sums, self._one_by_one(a), self._row_of_b(row))
            carried[:] = [v.offset(a, 1), b.add(row, self.b_k), *sums]
        self._store(list(carried[2:]))

    def _step(self, sums: list[ir.Value], of_a: list[ir.Value], of_b: ir.Value) -> list[ir.Value]:
        return [self.v.multiply_add(x, of_b, total) for x, total in zip(of_a, sums, strict=True)]

    def _side_by_side(self, a: ir.Value) -> list[ir.Value]:
        """Return the elements of A for one k, where its rows are side by side."""
        v, found = self.v, []
        for s in range(SUMS):
            first = s * self.fold
            if first % v.lanes == 0:
                whole = v.load(v.offset(a, first))
            lanes = [first % v.lanes + i // self.group.lanes for i in range(v.lanes)]
            found.append(v.shuffle(whole, whole, lanes))
        return found

    def _one_by_one(self, a: ir.Value) -> list[ir.Value]:
        """Return the elements of A for one k, where its rows are apart."""
        found = []
        for _ in range(SUMS):
            parts = []
            for _ in range(self.fold):
                parts.append(self.group.broadcast(a))
                a = self.b.add(a, self.a_row)
            found.append(self._joined(parts))
        return found

    def _row_of_b(self, row: ir.Value) -> ir.Value:
        return self._joined([self.group.load(row, self.mask)] * self.fold)

    def _spread(self, block: ir.Value, q: int) -> ir.Value:
        """Return element q of each group, in all of its lanes."""
        width = self.group.lanes
        lanes = [i // width * width + q for i in range(self.v.lanes)]
        return self.v.shuffle(block, block, lanes)

    def _joined(self, parts: list[ir.Value]) -> ir.Value:
        """Return the vectors one after the other, as one."""
        lanes = self.group.lanes
        while len(parts) > 1:
            lanes *= 2
            joined = simd.Vectors(self.b, self.v.real, lanes)
            pairs = zip(parts[::2], parts[1::2], strict=True)
            parts = [joined.shuffle(first, second, range(lanes)) for first, second in pairs]
        return parts[0]

    def _store(self, sums: list[ir.Value]) -> None:
        b, group = self.b, self.group
        cells = [group.cut(total, g * group.lanes) for total in sums for g in range(self.fold)]
        places = [b.add(self.c, b.mul(self.c_row, I64(i))) for i in range(len(cells))]
        with flow.when(b, self._has(ACCUMULATE), cells):
            for i, place in enumerate(places):
                cells[i] = b.fadd(group.load(place, self.mask), cells[i])
        with flow.when(b, b.icmp_signed("!=", self.bias, I64(0)), cells):
            bias = group.load(self.bias, self.mask)
            cells[:] = [b.fadd(cell, bias) for cell in cells]
        with flow.when(b, self._has(RELU), cells):
            cells[:] = [group.positive(cell) for cell in cells]
        for place, cell in zip(places, cells, strict=True):
            group.store(cell, place, self.mask)

    def _has(self, flag: int) -> ir.Value:
        return self.b.icmp_signed("!=", self.b.and_(self.flags, I64(flag)), I64(0))


def _function(module: ir.Module, real: Any, fold: int, transposed: bool) -> ir.Function:
    return flow.function(
        module,
        f"fastnn.folded.{real}.{fold}.{'columns' if transposed else 'rows'}",
        11,
        lambda builder, args: _Folded(builder, args, real, fold).emit(transposed),
    )


@intrinsic
def folded(
    typingctx, k, a, a_row, a_k, b, b_k, c, c_row, columns, bias, flags, fold, transposed, zero
):
    """Compute a tile of C of `fold` * `SUMS` rows and a vector's lanes / `fold` columns.

    Parameters
    ----------
    k, a, a_row, a_k, b, b_k, c, c_row, columns, bias, flags : int
        As :func:`fastnn.kernels.gemm.microkernel.tile` takes them.
    fold : int
        One of `FOLDS`.
    transposed : int
        1 if A's rows are side by side for each k, 0 if its k are for each row.
    zero : float
        Of the matrices' type.
    """
    if zero not in (types.float32, types.float64):
        return None
    signature = types.void(*[types.int64] * 13, zero)

    def codegen(context, builder, signature, args):
        *common, fold_, transposed_, _ = args
        kind = builder.or_(builder.shl(fold_, I64(1)), transposed_)
        functions = {
            n << 1 | t: _function(builder.module, zero, n, bool(t))
            for n in FOLDS
            for t in (0, 1)
            if n <= BITS // zero.bitwidth
        }
        flow.call_one(builder, kind, functions, common)
        return context.get_dummy_value()

    return signature, codegen
