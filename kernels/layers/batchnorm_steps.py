"""The innermost steps of batch normalisation: some rows at once, column by column in vectors.

What belongs to a column (a sum, a scale) is loaded and stored once for all rows of a step, and
the rows themselves are read once. Addresses and steps from row to row are in bytes; nothing is
read or written beyond the columns given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen import flow, simd
from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.codegen.flow import I64
from fastnn.kernels.tuning import COMMON

# Rows of a step; what is left over goes row by row.
MOMENTS_ROWS, SUMS_ROWS = COMMON.moments_rows, COMMON.sums_rows
WRITTEN_ROWS = COMMON.written_rows


class _Step:
    """Emits a step for so many rows."""

    def __init__(self, builder: ir.IRBuilder, real: Any, rows: int) -> None:
        self.b = builder
        self.v = simd.Vectors(builder, real, simd.vector_bits() // real.bitwidth)
        self.rows = rows
        self._offset: Any = None
        self._mask: Any = None

    def over_columns(self, count: ir.Value, emit: Callable[[], None]) -> None:
        """Emit a loop over the columns, a vector at a time, masked at the end."""
        b, v = self.b, self.v
        with flow.loop(b, b.sdiv(count, I64(v.lanes)), [I64(0)]) as carried:
            self._offset, self._mask = carried[0], None
            emit()
            carried[0] = b.add(carried[0], I64(v.lanes * v.size))
        rest = b.srem(count, I64(v.lanes))
        with b.if_then(b.icmp_signed(">", rest, I64(0))):
            self._offset, self._mask = carried[0], v.mask(rest)
            emit()

    def load(self, address: ir.Value) -> ir.Value:
        return self.v.load(self.b.add(address, self._offset), self._mask)

    def store(self, value: ir.Value, address: ir.Value) -> None:
        self.v.store(value, self.b.add(address, self._offset), self._mask)

    def row_addresses(self, first: ir.Value, step: ir.Value) -> list[ir.Value]:
        return [self.b.add(first, self.b.mul(step, I64(i))) for i in range(self.rows)]

    def sum(self, values: list[ir.Value]) -> ir.Value:
        """Return the sum, taken in pairs."""
        while len(values) > 1:
            pairs = zip(values[::2], values[1::2], strict=True)
            values = [self.b.fadd(p, q) for p, q in pairs]
        return values[0]

    def above(self, low: ir.Value, by: ir.Value, value: ir.Value) -> ir.Value:
        """Return the value, or `low` where `by` is at or below it; NaN is not and passes."""
        return self.b.select(self.b.fcmp_ordered("<=", by, low), low, value)


def _for_rows(
    builder: ir.IRBuilder, real: Any, rows: ir.Value, tall: int, emit: Callable[[_Step], None]
) -> None:
    """Emit a step for `tall` rows and one for a single row."""
    several = builder.icmp_signed("==", rows, I64(tall))
    with builder.if_else(several) as (then, otherwise):
        with then:
            emit(_Step(builder, real, tall))
        with otherwise:
            emit(_Step(builder, real, 1))


def _moments(s: _Step, args: list[ir.Value]) -> None:
    x, step, columns, pivot, total, squares, inverse, weight = args
    rows = s.row_addresses(x, step)
    inverse, weight = s.v.splat(inverse), s.v.splat(weight)
    share = s.v.constant(1 / s.rows)

    def emit() -> None:
        b, v = s.b, s.v
        origin = s.load(pivot)
        finite = b.fcmp_ordered("==", b.fsub(origin, origin), v.zero)
        origin = b.select(finite, origin, v.zero)
        values = [b.fsub(s.load(row), origin) for row in rows]
        added = s.sum(values)
        mean = b.fmul(added, share)
        before = s.load(total)
        off = b.fsub(mean, b.fmul(before, inverse))
        # In this order: the weight of the first rows is zero, and off^2 may be infinite.
        spread = v.multiply_add(b.fmul(off, weight), off, s.load(squares))
        for value in values:
            centred = b.fsub(value, mean)
            spread = v.multiply_add(centred, centred, spread)
        s.store(b.fadd(before, added), total)
        s.store(spread, squares)

    s.over_columns(columns, emit)


def _normalise(s: _Step, args: list[ir.Value]) -> None:
    x, x_step, y, y_step, columns, mean, rstd, gamma, beta, low = args
    rows = zip(s.row_addresses(x, x_step), s.row_addresses(y, y_step), strict=True)
    pairs, low = list(rows), s.v.splat(low)

    def emit() -> None:
        centre, shift = s.load(mean), s.load(beta)
        slope = s.b.fmul(s.load(gamma), s.load(rstd))
        for source, target in pairs:
            value = s.v.multiply_add(s.b.fsub(s.load(source), centre), slope, shift)
            s.store(s.above(low, value, value), target)

    s.over_columns(columns, emit)


def _gradient_rows(s: _Step, args: list[ir.Value], masked: bool) -> Callable[[int], Any]:
    """Return what emits the loads of dout, behind the mask of y, and of x in one row."""
    dout, dout_step, x, x_step, y, y_step = args
    douts, xs = s.row_addresses(dout, dout_step), s.row_addresses(x, x_step)
    ys = s.row_addresses(y, y_step) if masked else []

    def load(i: int) -> tuple[ir.Value, ir.Value]:
        d = s.load(douts[i])
        return s.above(s.v.zero, s.load(ys[i]), d) if masked else d, s.load(xs[i])

    return load


def _with_or_without_mask(
    s: _Step, y: ir.Value, columns: ir.Value, emit: Callable[[bool], Callable[[], None]]
) -> None:
    with s.b.if_else(s.b.icmp_signed("!=", y, I64(0))) as (then, otherwise):
        with then:
            s.over_columns(columns, emit(True))
        with otherwise:
            s.over_columns(columns, emit(False))


def _gradient_sums(s: _Step, args: list[ir.Value]) -> None:
    *arrays, columns, mean, rstd, dbeta, dgamma = args

    def make(masked: bool) -> Callable[[], None]:
        load = _gradient_rows(s, arrays, masked)

        def emit() -> None:
            centre, scale = s.load(mean), s.load(rstd)
            sum_d, sum_dx = s.load(dbeta), s.load(dgamma)
            for i in range(s.rows):
                d, value = load(i)
                xhat = s.b.fmul(s.b.fsub(value, centre), scale)
                sum_d, sum_dx = s.b.fadd(sum_d, d), s.v.multiply_add(d, xhat, sum_dx)
            s.store(sum_d, dbeta)
            s.store(sum_dx, dgamma)

        return emit

    _with_or_without_mask(s, arrays[4], columns, make)


def _gradient(s: _Step, args: list[ir.Value]) -> None:
    *arrays, dx, dx_step, columns, mean, rstd, gamma, dbeta, dgamma, inverse = args
    targets, inverse = s.row_addresses(dx, dx_step), s.v.splat(inverse)

    def make(masked: bool) -> Callable[[], None]:
        load = _gradient_rows(s, arrays, masked)

        def emit() -> None:
            b = s.b
            centre, scale = s.load(mean), s.load(rstd)
            mean_d = b.fmul(s.load(dbeta), inverse)
            along = b.fmul(b.fmul(s.load(dgamma), inverse), scale)
            slope = b.fmul(s.load(gamma), scale)
            for i, target in enumerate(targets):
                d, value = load(i)
                # d - mean_d - xhat dgamma / n
                left = s.v.multiply_add(b.fsub(centre, value), along, b.fsub(d, mean_d))
                s.store(b.fmul(slope, left), target)

        return emit

    _with_or_without_mask(s, arrays[4], columns, make)


def _typed(real: Any, emit: Callable[..., None], integers: int, reals: int, tall: int) -> Any:
    """Return signature and code of a step: integers, floats, then the number of rows."""
    if real not in (types.float32, types.float64):
        return None
    signature = types.void(*[types.int64] * integers, *[real] * reals, types.int64)

    def codegen(context, builder, signature, args):
        *given, rows = args
        _for_rows(builder, real, rows, tall, lambda step: emit(step, given))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def moments(typingctx, x, step, columns, pivot, total, squares, inverse, weight, rows):
    """Add rows, less `pivot`, to the sums, and to those of squared distances from the mean.

    By the formula of Chan, Golub and LeVeque (1979) for two sets of samples, here the rows
    before (n of them) and the new ones (m): ``inverse`` is 1 / n, or 0 without any, and
    ``weight`` is n m / (n + m).
    """
    return _typed(inverse, _moments, 6, 2, MOMENTS_ROWS)


@intrinsic
def normalise(typingctx, x, x_step, y, y_step, columns, mean, rstd, gamma, beta, low, rows):
    """y = gamma (x - mean) rstd + beta, not below `low`."""
    return _typed(low, _normalise, 9, 1, WRITTEN_ROWS)


@intrinsic
def gradient_sums(
    typingctx, dout, dout_step, x, x_step, y, y_step, columns, mean, rstd, dbeta, dgamma, zero, rows
):
    """Add dout and dout xhat to the sums dbeta and dgamma, where y is above 0; y may be 0."""
    return _typed(zero, lambda s, args: _gradient_sums(s, args[:-1]), 11, 1, SUMS_ROWS)


@intrinsic
def gradient(
    typingctx, dout, dout_step, x, x_step, y, y_step, dx, dx_step, columns, mean, rstd, gamma,
    dbeta, dgamma, inverse, rows,
):  # fmt: skip
    """dx = gamma rstd (dout - (dbeta + xhat dgamma) / n), inverse = 1 / n; y may be 0."""
    return _typed(inverse, _gradient, 14, 1, WRITTEN_ROWS)
