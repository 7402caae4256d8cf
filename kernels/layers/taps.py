"""Products through tables: what a convolution is of, without a matrix of what filters see.

    C[i, j] = relu([C +] sum over k of A[row i + a k] X[x k + j] [+ bias i])

`row`, `a` and `x` are tables of steps in bytes, so A and X may be any numbers of an image: X may
be the same row of pixels for each element of a filter, only shifted. Columns are whole vectors.
The tile of C is kept in registers, A is read element by element and broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen import flow, simd
from fastnn.kernels.codegen.compile import intrinsic, serial
from fastnn.kernels.codegen.flow import I64
from fastnn.kernels.codegen.raw import ask
from fastnn.kernels.gemm.sizes import ACCUMULATE, BITS, RELU
from fastnn.kernels.tuning import COMMON

_TILES = COMMON.tap_tiles
_MOST = max(max(widths) for widths in _TILES.values())
_HEIGHTS = tuple(
    max((h for h in _TILES if h <= rows), default=0) for rows in range(max(_TILES) + 1)
)
_ROWS = max(_TILES)


class _Tile:
    """Emits the code of a kind of tile; the arguments are those of :func:`_tile`."""

    def __init__(self, builder: ir.IRBuilder, args: Sequence[ir.Value], v: simd.Vectors) -> None:
        self.b, self.v = builder, v
        (self.k, self.a, self.rows_of_a, self.ks_of_a, self.x, self.ks_of_x, self.c, self.c_row,
         self.bias, self.flags) = args  # fmt: skip

    def _word(self, address: ir.Value) -> ir.Value:
        return self.b.load(self.b.inttoptr(address, I64.as_pointer()), align=8)

    def emit(self, rows: int, width: int) -> None:
        """Emit the tile of so many rows and vectors."""
        b, v = self.b, self.v
        heads = [b.add(self.a, self._word(b.add(self.rows_of_a, I64(8 * i)))) for i in range(rows)]
        with flow.loop(b, self.k, [I64(0), *[v.zero] * (rows * width)]) as carried:
            at, cells = carried[0], carried[1:]
            step = self._word(b.add(self.ks_of_a, at))
            row = b.add(self.x, self._word(b.add(self.ks_of_x, at)))
            vectors = [v.load(v.offset(row, j * v.lanes)) for j in range(width)]
            for i, head in enumerate(heads):
                number = v.broadcast(b.add(head, step))
                for j, vector in enumerate(vectors):
                    cell = i * width + j
                    cells[cell] = v.multiply_add(number, vector, cells[cell])
            carried[:] = [b.add(at, I64(8)), *cells]
        cells = list(carried[1:])
        places = [
            v.offset(b.add(self.c, b.mul(self.c_row, I64(i))), j * v.lanes)
            for i in range(rows)
            for j in range(width)
        ]
        with flow.when(b, self._has(ACCUMULATE), cells):
            cells[:] = [b.fadd(v.load(p), c) for p, c in zip(places, cells, strict=True)]
        with flow.when(b, b.icmp_signed("!=", self.bias, I64(0)), cells):
            for i in range(rows):
                number = v.broadcast(v.offset(self.bias, i))
                for cell in range(i * width, (i + 1) * width):
                    cells[cell] = b.fadd(cells[cell], number)
        with flow.when(b, self._has(RELU), cells):
            # Ordered: NaN is not below zero and passes.
            cells[:] = [b.select(b.fcmp_ordered("<=", c, v.zero), v.zero, c) for c in cells]
        for place, cell in zip(places, cells, strict=True):
            v.store(cell, place)

    def _has(self, flag: int) -> ir.Value:
        return self.b.icmp_signed("!=", self.b.and_(self.flags, I64(flag)), I64(0))


def _function(module: ir.Module, real: Any, rows: int, width: int) -> ir.Function:
    def emit(builder: ir.IRBuilder, args: Sequence[ir.Value]) -> None:
        v = simd.Vectors(builder, real, BITS // real.bitwidth)
        _Tile(builder, args, v).emit(rows, width)

    return flow.function(module, f"fastnn.taps.{real}.{rows}.{width}", 10, emit)


@intrinsic
def _tile(
    typingctx, k, a, rows_of_a, ks_of_a, x, ks_of_x, c, c_row, bias, flags, rows, width, zero
):
    """Compute a tile of C, of a kind that there is, from the address of its first element on."""
    if zero not in (types.float32, types.float64):
        return None

    def codegen(context, builder, signature, args):
        *common, rows_, width_, _ = args
        functions = {
            n << 4 | w: _function(builder.module, zero, n, w)
            for n, widths in _TILES.items()
            for w in widths
        }
        flow.call_one(builder, builder.or_(builder.shl(rows_, I64(4)), width_), functions, common)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 12, zero), codegen


@serial
def _width(left):
    """Return the width of the next tile, for so many vectors left: none is much narrower."""
    if left <= _MOST:
        return left
    return _MOST if left != _MOST + 1 else (_MOST + 1) // 2


def _taps(real: Any) -> Any:
    lanes, size = BITS // real.bitwidth, real.bitwidth // 8

    def taps(k, a, rows_of_a, ks_of_a, x, ks_of_x, c, c_row, bias, flags, rows, vectors):
        """Compute a product; see :func:`multiply`."""
        zero, i = real(0), 0
        while i < rows:
            height = _HEIGHTS[min(_ROWS, rows - i)]
            j = 0
            while j < vectors:
                width, right = _width(vectors - j), j * lanes * size
                _tile(
                    k, a, rows_of_a + 8 * i, ks_of_a, x + right, ks_of_x,
                    c + i * c_row + right, c_row, bias + i * size if bias != 0 else 0, flags,
                    height, width, zero,
                )  # fmt: skip
                j += width
            i += height
        return 0

    return taps


PARTS = {"taps": _taps}


@serial
def multiply(taps, k, a, rows_of_a, ks_of_a, x, ks_of_x, c, c_row, bias, flags, rows, vectors):
    """Compute so many rows and vectors of columns of a product, by the part at an address.

    Parameters
    ----------
    taps : int
        Of the part.
    k : int
        Length of the sums.
    a, x : int
        Addresses that steps are from.
    rows_of_a, ks_of_a, ks_of_x : int
        Addresses of the tables: a step for each row, and two for each k, in bytes.
    c, c_row : int
        Address of C's first element, and the bytes from row to row.
    bias : int
        Address of the first row's bias, or 0.
    flags : int
        ACCUMULATE and RELU.
    rows, vectors : int
    """
    ask(
        taps,
        (k, a, rows_of_a, ks_of_a, x, ks_of_x, c, c_row, bias, flags, rows, vectors),
    )
