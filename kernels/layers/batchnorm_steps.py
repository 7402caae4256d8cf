"""The innermost steps of batch normalisation: some rows at once, column by column in vectors.

What belongs to a column (a sum, a scale) is loaded and stored once for all rows of a step, and
the rows themselves are read once. Addresses and steps from row to row are in bytes; nothing is
read or written beyond the columns given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen import flow, simd
from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.codegen.flow import I64
from fastnn.kernels.plain.level import vector_bits
from fastnn.kernels.tuning import COMMON

# Rows of a step; what is left over goes row by row.
MOMENTS_ROWS, SUMS_ROWS = COMMON.moments_rows, COMMON.sums_rows
WRITTEN_ROWS = COMMON.written_rows


class Step:
    """Emits a step for so many rows, a power of two.

    Addresses are those of a first column. Numbers are of one type, in vectors `v`; what sums and
    statistics are made of is in vectors `w`, of as many lanes, of float64.
    """

    def __init__(self, builder: ir.IRBuilder, real: Any, rows: int, widest: int = 512) -> None:
        self.b = builder
        self.v = simd.Vectors(builder, real, min(vector_bits(), widest) // real.bitwidth)
        self.w = simd.Vectors(builder, types.float64, self.v.lanes)
        self.rows = rows
        self._column: Any = None
        self._mask: Any = None

    def over_columns(self, count: ir.Value, emit: Callable[[], None]) -> None:
        """Emit a loop over the columns, a vector at a time, masked at the end."""
        b, v = self.b, self.v
        with flow.loop(b, b.sdiv(count, I64(v.lanes)), [I64(0)]) as carried:
            self._column, self._mask = carried[0], None
            emit()
            carried[0] = b.add(carried[0], I64(v.lanes))
        rest = b.srem(count, I64(v.lanes))
        with b.if_then(b.icmp_signed(">", rest, I64(0))):
            self._column, self._mask = carried[0], v.mask(rest)
            emit()

    def _place(self, address: ir.Value, kind: simd.Vectors) -> ir.Value:
        return self.b.add(address, self.b.mul(self._column, I64(kind.size)))

    def load(self, address: ir.Value) -> ir.Value:
        """Load from a row or a column's numbers."""
        return self.v.load(self._place(address, self.v), self._mask)

    def store(self, value: ir.Value, address: ir.Value) -> None:
        """Store to a row or a column's numbers."""
        self.v.store(value, self._place(address, self.v), self._mask)

    def load_wide(self, address: ir.Value) -> ir.Value:
        """Load numbers of float64."""
        return self.w.load(self._place(address, self.w), self._mask)

    def store_wide(self, value: ir.Value, address: ir.Value) -> None:
        """Store numbers of float64."""
        self.w.store(value, self._place(address, self.w), self._mask)

    def widened(self, value: ir.Value) -> ir.Value:
        """Return a vector in float64."""
        return value if self.v.size == self.w.size else self.b.fpext(value, self.w.type)

    def rounded(self, value: ir.Value) -> ir.Value:
        """Return a vector of float64 in the numbers' type."""
        return value if self.v.size == self.w.size else self.b.fptrunc(value, self.v.type)

    def row_addresses(self, first: ir.Value, step: ir.Value) -> list[ir.Value]:
        """Return the addresses of the rows."""
        return [self.b.add(first, self.b.mul(step, I64(i))) for i in range(self.rows)]

    def sum(self, values: list[ir.Value], ones: ir.Value | None = None) -> ir.Value:
        """Return the sum, taken in pairs; with :meth:`simd.Vectors.ones`, by products."""
        while len(values) > 1:
            pairs = zip(values[::2], values[1::2], strict=True)
            if ones is None:
                values = [self.b.fadd(p, q) for p, q in pairs]
            else:
                values = [self.v.multiply_add(p, ones, q) for p, q in pairs]
        return values[0]

    def gradient_sums(
        self, ds: list[ir.Value], xhats: list[ir.Value], ones: ir.Value | None = None
    ) -> list[ir.Value]:
        """Return the sums of d, of d xhat and of xhat, in pairs; given ones, d by products."""
        products = [self.b.fmul(d, xhat) for d, xhat in zip(ds[::2], xhats[::2], strict=True)]
        for i in range(1, len(ds), 2):
            products[i // 2] = self.v.multiply_add(ds[i], xhats[i], products[i // 2])
        return [self.sum(ds, ones), self.sum(products), self.sum(xhats)]

    def finite(self, value: ir.Value) -> ir.Value:
        """Return a value of `w`, or 0 where it is infinite or NaN."""
        is_finite = self.b.fcmp_ordered("==", self.b.fsub(value, value), self.w.zero)
        return self.b.select(is_finite, value, self.w.zero)

    def above(self, low: ir.Value, by: ir.Value, value: ir.Value) -> ir.Value:
        """Return the value, or `low` where `by` is at or below it; NaN is not and passes."""
        return self.b.select(self.b.fcmp_ordered("<=", by, low), low, value)


def _for_rows(
    builder: ir.IRBuilder, real: Any, rows: ir.Value, tall: int, emit: Callable[[Step], None]
) -> None:
    """Emit a step for `tall` rows and one for a single row."""
    several = builder.icmp_signed("==", rows, I64(tall))
    with builder.if_else(several) as (then, otherwise):
        with then:
            emit(Step(builder, real, tall))
        with otherwise:
            emit(Step(builder, real, 1))


def _moments(s: Step, args: list[ir.Value]) -> None:
    x, step, columns, pivot, total, squares, _ = args
    rows = s.row_addresses(x, step)

    def emit() -> None:
        origin, spread = s.load_wide(pivot), s.load_wide(squares)
        values = [s.b.fsub(s.widened(s.load(row)), origin) for row in rows]
        for value in values:
            spread = s.w.multiply_add(value, value, spread)
        s.store_wide(s.b.fadd(s.load_wide(total), s.sum(values)), total)
        s.store_wide(spread, squares)

    s.over_columns(columns, emit)


def _statistics(s: Step, args: list[ir.Value]) -> None:
    (
        columns, pivot, total, squares, gamma, beta, running_mean, running_var, mean, rstd, slope,
        shift, share, momentum, eps,
    ) = args  # fmt: skip
    share, old, eps = (s.w.splat(number) for number in (share, momentum, eps))
    new = s.b.fsub(s.w.constant(1.0), old)

    def follow(running: ir.Value, value: ir.Value) -> None:
        before = s.widened(s.load(running))
        after = s.w.multiply_add(old, before, s.b.fmul(new, value))
        s.store(s.rounded(after), running)

    def emit() -> None:
        b, w = s.b, s.w
        origin, off = s.load_wide(pivot), b.fmul(s.load_wide(total), share)
        spread = b.fmul(s.load_wide(squares), share)
        var = b.fsub(spread, b.fmul(off, off))
        var = s.above(w.zero, var, var)
        # Where both are infinite, the variance is infinite too, unless samples are.
        over = b.fcmp_ordered("==", spread, w.constant(math.inf))
        var = b.select(over, b.fsub(spread, b.fsub(off, off)), var)
        centre = b.fadd(origin, off)
        rounded = s.rounded(centre)
        rest = b.fadd(b.fsub(origin, s.widened(rounded)), off)
        inverse = b.fdiv(w.constant(1.0), w.root(b.fadd(var, eps)))
        steep = b.fmul(s.widened(s.load(gamma)), inverse)
        s.store(rounded, mean)
        s.store(s.rounded(inverse), rstd)
        s.store(s.rounded(steep), slope)
        s.store(s.rounded(b.fsub(s.widened(s.load(beta)), b.fmul(rest, steep))), shift)
        follow(running_mean, centre)
        follow(running_var, var)

    s.over_columns(columns, emit)


def _normalise(s: Step, args: list[ir.Value]) -> None:
    x, x_step, y, y_step, columns, mean, slope, shift, low = args
    rows = zip(s.row_addresses(x, x_step), s.row_addresses(y, y_step), strict=True)
    pairs, low = list(rows), s.v.splat(low)

    def emit() -> None:
        centre, steep, beta = s.load(mean), s.load(slope), s.load(shift)
        for source, target in pairs:
            value = s.v.multiply_add(s.b.fsub(s.load(source), centre), steep, beta)
            s.store(s.above(low, value, value), target)

    s.over_columns(columns, emit)


def _gradient_rows(s: Step, args: list[ir.Value], masked: bool) -> Callable[[int], Any]:
    """Return what emits the loads of dout, behind the mask of y, and of x in one row."""
    dout, dout_step, x, x_step, y, y_step = args
    douts, xs = s.row_addresses(dout, dout_step), s.row_addresses(x, x_step)
    ys = s.row_addresses(y, y_step) if masked else []

    def load(i: int) -> tuple[ir.Value, ir.Value]:
        d = s.load(douts[i])
        return s.above(s.v.zero, s.load(ys[i]), d) if masked else d, s.load(xs[i])

    return load


def with_or_without(builder: ir.IRBuilder, address: ir.Value, emit: Callable[[bool], None]) -> None:
    """Emit both: what is done with the address, and what is done if it is 0."""
    with builder.if_else(builder.icmp_signed("!=", address, I64(0))) as (then, otherwise):
        with then:
            emit(True)
        with otherwise:
            emit(False)


def _gradient_sums(s: Step, args: list[ir.Value]) -> None:
    *arrays, columns, mean, rstd, sum_d, sum_dx, sum_x, _ = args

    def over_columns(masked: bool) -> None:
        load = _gradient_rows(s, arrays, masked)
        totals = sum_d, sum_dx, sum_x

        def emit() -> None:
            centre, scale = s.load(mean), s.load(rstd)
            pairs = [load(i) for i in range(s.rows)]
            ds = [d for d, _ in pairs]
            xhats = [s.b.fmul(s.b.fsub(value, centre), scale) for _, value in pairs]
            for total, value in zip(totals, s.gradient_sums(ds, xhats), strict=True):
                s.store(s.b.fadd(s.load(total), value), total)

        s.over_columns(columns, emit)

    with_or_without(s.b, arrays[4], over_columns)


def _parameter_gradients(s: Step, args: list[ir.Value]) -> None:
    columns, sum_d, sum_dx, sum_x, gamma, rstd, dgamma, dbeta, slope, along, shift, share = args
    share = s.w.splat(share)

    def emit() -> None:
        b = s.b
        rest = s.finite(b.fmul(s.load_wide(sum_x), share))
        total = s.load_wide(sum_d)
        with_x = b.fsub(s.load_wide(sum_dx), b.fmul(rest, total))
        scale, mean_dx = s.widened(s.load(rstd)), b.fmul(with_x, share)
        s.store(s.rounded(total), dbeta)
        s.store(s.rounded(with_x), dgamma)
        s.store(s.rounded(b.fmul(s.widened(s.load(gamma)), scale)), slope)
        s.store(s.rounded(mean_dx), along)
        s.store(s.rounded(b.fsub(b.fmul(total, share), b.fmul(rest, mean_dx))), shift)

    s.over_columns(columns, emit)


def _gradient(s: Step, args: list[ir.Value]) -> None:
    *arrays, dx, dx_step, columns, mean, rstd, slope, along, shift, _ = args
    targets = s.row_addresses(dx, dx_step)

    def over_columns(masked: bool) -> None:
        load = _gradient_rows(s, arrays, masked)

        def emit() -> None:
            centre, scale = s.load(mean), s.load(rstd)
            steep, of_x, lower = s.load(slope), s.load(along), s.load(shift)
            for i, target in enumerate(targets):
                d, value = load(i)
                below = s.b.fmul(s.b.fsub(centre, value), scale)  # -xhat
                left = s.v.multiply_add(below, of_x, s.b.fsub(d, lower))
                s.store(s.b.fmul(steep, left), target)

        s.over_columns(columns, emit)

    with_or_without(s.b, arrays[4], over_columns)


def _of_columns(
    real: Any, emit: Callable[[Step, list[ir.Value]], None], integers: int, doubles: int
) -> Any:
    """Return signature and code of a step for columns: integers, float64, one of the type."""
    if real not in (types.float32, types.float64):
        return None
    signature = types.void(*[types.int64] * integers, *[types.float64] * doubles, real)

    def codegen(context, builder, signature, args):
        emit(Step(builder, real, 1), args[:-1])
        return context.get_dummy_value()

    return signature, codegen


def _of_rows(
    real: Any, emit: Callable[[Step, list[ir.Value]], None], integers: int, tall: int
) -> Any:
    """Return signature and code of a step for rows: integers, one of the type, then the rows."""
    if real not in (types.float32, types.float64):
        return None
    signature = types.void(*[types.int64] * integers, real, types.int64)

    def codegen(context, builder, signature, args):
        *given, rows = args
        _for_rows(builder, real, rows, tall, lambda step: emit(step, given))
        return context.get_dummy_value()

    return signature, codegen


# The argument `zero` says of what type numbers are.


@intrinsic
def moments(typingctx, x, step, columns, pivot, total, squares, zero, rows):
    """Add rows, less `pivot`, to the sums, and their squares to those of squares, of float64."""
    return _of_rows(zero, _moments, 6, MOMENTS_ROWS)


@intrinsic
def statistics(
    typingctx, columns, pivot, total, squares, gamma, beta, running_mean, running_var, mean, rstd,
    slope, shift, share, momentum, eps, zero,
):  # fmt: skip
    """Make of sums over n = 1 / share samples all that normalises them.

    Running statistics are moved; what :func:`normalise` takes is slope = gamma rstd, and shift =
    beta less that times what rounding takes from the mean.
    """
    return _of_columns(zero, _statistics, 12, 3)


@intrinsic
def normalise(typingctx, x, x_step, y, y_step, columns, mean, slope, shift, low, rows):
    """y = (x - mean) slope + shift, not below `low`."""
    return _of_rows(low, _normalise, 8, WRITTEN_ROWS)


@intrinsic
def gradient_sums(
    typingctx, dout, dout_step, x, x_step, y, y_step, columns, mean, rstd, sum_d, sum_dx, sum_x,
    zero, rows,
):  # fmt: skip
    """Add dout and dout xhat where y is above 0, and xhat, to sums of their type; y may be 0."""
    return _of_rows(zero, _gradient_sums, 12, SUMS_ROWS)


@intrinsic
def parameter_gradients(
    typingctx, columns, sum_d, sum_dx, sum_x, gamma, rstd, dgamma, dbeta, slope, along, shift,
    share, zero,
):  # fmt: skip
    """Make of sums over n = 1 / share samples dgamma and dbeta, and what :func:`gradient` takes.

    The mean that the sums are taken with is rounded: what that leaves of the mean of xhat, which
    is zero, is taken off.
    """
    return _of_columns(zero, _parameter_gradients, 11, 1)


@intrinsic
def gradient(
    typingctx, dout, dout_step, x, x_step, y, y_step, dx, dx_step, columns, mean, rstd, slope,
    along, shift, zero, rows,
):  # fmt: skip
    """dx = slope (dout - xhat along - shift), with dout where y is above 0; y may be 0."""
    return _of_rows(zero, _gradient, 14, WRITTEN_ROWS)
