"""The innermost steps of a matrix product: one tile of C, and the transpose of a small square.

A tile of C is kept in registers:

    C[rows, columns] = relu([C +] A[rows, k] B[k, columns] [+ bias])

A is read element by element and broadcast, B in vectors along its rows, C is stored once. Each
element of C is a sum over k in ascending order, whatever the tile, so that results do not
depend on how a product is cut into tiles. Tiles of the main height also go by a list of k, and
leave out the others. Addresses and strides are in bytes: the same code
runs on an operand in place and on a packed copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen import flow, simd
from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.codegen.flow import I32, I64
from fastnn.kernels.gemm.sizes import ACCUMULATE, BITS, RELU, ROWS, TILES, VECTORS
from fastnn.kernels.plain.memory import CACHE_LINE
from fastnn.kernels.tuning import COMMON

COPY_AHEAD = COMMON.copy_ahead


class _Tile:
    """Emits the code of one tile shape.

    The arguments are those of :func:`tile`, in its order, less the last two.
    """

    def __init__(
        self, builder: ir.IRBuilder, args: Sequence[ir.Value], v: simd.Vectors, rows: int
    ) -> None:
        self.b = builder
        (self.k, self.list, self.a, self.a_row, self.a_k, self.b0, self.b_k, self.c, self.c_row,
         self.columns, self.bias, self.flags) = args  # fmt: skip
        self.rows = rows
        self.cells: list[tuple[int, int]] = []
        self.v = v

    def emit(self, vectors: int, edge: bool, listed: bool) -> None:
        """Emit the tile with some vectors of columns; `edge` masks the last of them."""
        v = self.v
        self.cells = [(i, j) for i in range(self.rows) for j in range(vectors)]
        masks: list[ir.Value | None] = [None] * vectors
        if edge:
            masks[-1] = v.mask(self.b.sub(self.columns, I64((vectors - 1) * v.lanes)))
        tile = self._product(masks, self._listed if listed else self._next)
        self._epilogue(tile, masks)
        for (i, j), value in zip(self.cells, tile, strict=True):
            v.store(value, self._address_of_c(i, j), masks[j])

    def _product(
        self,
        masks: list[ir.Value | None],
        advance: Callable[[ir.Value, ir.Value], tuple[ir.Value, ...]],
    ) -> list[ir.Value]:
        v, b = self.v, self.b
        state = [self.a, self.b0] if advance == self._next else [self.list, I64(0)]
        with flow.loop(b, self.k, state + [v.zero] * len(self.cells)) as carried:
            *where, a, row = advance(*carried[:2])
            tile = list(carried[2:])
            vectors = [v.load(v.offset(row, j * v.lanes), mask) for j, mask in enumerate(masks)]
            for i in range(self.rows):
                x = v.broadcast(a)
                # One after the other: LLVM loads no more rows at once than there are registers.
                a = b.add(a, self.a_row)
                for j, vector in enumerate(vectors):
                    cell = i * len(vectors) + j
                    tile[cell] = v.multiply_add(x, vector, tile[cell])
            carried[:] = [*where, *tile]
        return list(carried[2:])

    def _next(self, a: ir.Value, row: ir.Value) -> tuple[ir.Value, ...]:
        """Return where the next k is, and the addresses of A's and B's elements for this one."""
        return self.b.add(a, self.a_k), self.b.add(row, self.b_k), a, row

    def _listed(self, place: ir.Value, unused: ir.Value) -> tuple[ir.Value, ...]:
        """Return the same for k that stand in a list."""
        b = self.b
        k = b.zext(b.load(b.inttoptr(place, I32.as_pointer())), I64)
        a, row = b.add(self.a, b.mul(k, self.a_k)), b.add(self.b0, b.mul(k, self.b_k))
        return b.add(place, I64(4)), unused, a, row

    def _epilogue(self, tile: list[ir.Value], masks: list[ir.Value | None]) -> None:
        v, b = self.v, self.b
        with flow.when(b, self._has(ACCUMULATE), tile):
            for cell, (i, j) in enumerate(self.cells):
                tile[cell] = b.fadd(v.load(self._address_of_c(i, j), masks[j]), tile[cell])
        with flow.when(b, b.icmp_signed("!=", self.bias, I64(0)), tile):
            bias = [v.load(v.offset(self.bias, j * v.lanes), mask) for j, mask in enumerate(masks)]
            for cell, (_, j) in enumerate(self.cells):
                tile[cell] = b.fadd(tile[cell], bias[j])
        with flow.when(b, self._has(RELU), tile):
            tile[:] = [v.positive(value) for value in tile]

    def _has(self, flag: int) -> ir.Value:
        return self.b.icmp_signed("!=", self.b.and_(self.flags, I64(flag)), I64(0))

    def _address_of_c(self, i: int, j: int) -> ir.Value:
        row = self.b.add(self.c, self.b.mul(self.c_row, I64(i)))
        return self.v.offset(row, j * self.v.lanes)


def _function(
    module: ir.Module, real: Any, rows: int, width: int, listed: bool = False
) -> ir.Function:
    """Return the function of a kind of tile."""

    def emit(builder: ir.IRBuilder, args: Sequence[ir.Value]) -> None:
        lanes = BITS // real.bitwidth
        v = simd.Vectors(builder, real, lanes // 2 if width == 1 else lanes)
        _Tile(builder, args, v, rows).emit((width + 1) // 2, width <= 2 or width % 2 == 1, listed)

    suffix = ".listed" if listed else ""
    return flow.function(module, f"fastnn.tile.{real}.{rows}.{width}{suffix}", 12, emit)


@intrinsic
def tile(
    typingctx, k, list, a, a_row, a_k, b, b_k, c, c_row, columns, bias, flags, rows, width, zero
):
    """Compute one tile of C.

    Parameters
    ----------
    k : int
        Length of the sums.
    list : int
        Address of the numbers, of four bytes, of the k to take, if `rows` is `ROWS`; or 0.
    a, a_row, a_k : int
        Address of A's first element, steps to the next row and to the next k.
    b, b_k : int
        Address of B's first row, step to the next.
    c, c_row : int
        Address of C's first element, step to the next row.
    columns : int
        Columns of C from here to the matrix's end; beyond them nothing is read or written.
    bias : int
        Address of the first column's bias, or 0.
    flags : int
        ACCUMULATE and RELU.
    rows, width : int
        A kind in `TILES`.
    zero : float
        Of the matrices' type.
    """
    if zero not in (types.float32, types.float64):
        return None
    signature = types.void(*[types.int64] * 14, zero)

    def codegen(context, builder, signature, args):
        *common, rows_, width_, _ = args
        is_listed = builder.zext(builder.icmp_signed("!=", common[1], I64(0)), I64)
        kind = builder.or_(builder.shl(rows_, I64(8)), width_)
        kind = builder.or_(kind, builder.shl(is_listed, I64(16)))
        functions = {
            n << 8 | w: _function(builder.module, zero, n, w)
            for n, widths in TILES.items()
            for w in widths
        }
        for w in TILES[ROWS]:
            listed = _function(builder.module, zero, ROWS, w, listed=True)
            functions[1 << 16 | ROWS << 8 | w] = listed
        flow.call_one(builder, kind, functions, common)
        return context.get_dummy_value()

    return signature, codegen


def _copier(width_of: Callable[[int], int]) -> Callable[..., Any]:
    """Return a function that copies rows of at most so many numbers, by a vector's lanes."""

    @intrinsic
    def copy(typingctx, source, source_step, rows, columns, target, target_step, zero):
        """Copy rows, vector by vector.

        Whole vectors are written: what comes behind a row's columns is undefined then.

        Parameters
        ----------
        source, source_step, target, target_step : int
            Addresses of the first elements, and steps from row to row, in bytes.
        rows, columns : int
            Beyond so many columns nothing is read.
        zero : float
            Of the matrices' type.
        """
        if zero not in (types.float32, types.float64):
            return None

        def codegen(context, builder, signature, args):
            source, source_step, rows, columns, target, target_step, _ = args
            v = simd.Vectors(builder, zero, BITS // zero.bitwidth)
            width = width_of(v.lanes)
            firsts = range(0, width, v.lanes)
            masks = [v.mask(builder.sub(columns, I64(first))) for first in firsts]
            ahead = builder.mul(source_step, I64(COPY_AHEAD))
            with flow.loop(builder, rows, [source, target]) as carried:
                row, to = carried
                for first in range(0, width, CACHE_LINE // v.size):
                    v.prefetch(v.offset(builder.add(row, ahead), first))
                for first, mask in zip(firsts, masks, strict=True):
                    v.store(v.load(v.offset(row, first), mask), v.offset(to, first))
                carried[:] = builder.add(row, source_step), builder.add(to, target_step)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 6, zero), codegen

    return copy


copy_panel = _copier(lambda lanes: VECTORS * lanes)  # rows of a panel of B
copy_group = _copier(lambda lanes: ROWS)  # of a group of rows of A, for one k each


@intrinsic
def transpose(typingctx, source, source_step, rows, target, target_step, zero):
    """Copy the transpose of a square as wide as a vector.

    Parameters
    ----------
    source, source_step, target, target_step : int
        Addresses of the first elements, and steps from row to row, in bytes.
    rows : int
        Rows of the source from here to the matrix's end, at least one. Beyond them nothing is
        read, and the last is copied again.
    zero : float
        Of the matrices' type.
    """
    if zero not in (types.float32, types.float64):
        return None
    signature = types.void(*[types.int64] * 5, zero)

    def codegen(context, builder, signature, args):
        source, source_step, count, target, target_step, _ = args
        v = simd.Vectors(builder, zero, BITS // zero.bitwidth)
        rows = []
        for i in range(v.lanes):
            rows.append(v.load(source))
            following = builder.add(source, source_step)
            source = builder.select(builder.icmp_signed("<", I64(i + 1), count), following, source)
        for row in v.transpose(rows):
            v.store(row, target)
            target = builder.add(target, target_step)
        return context.get_dummy_value()

    return signature, codegen
