"""The innermost step of batch normalisation of images: sums over planes of one channel.

Some vectors of pixels are added in pairs, and some of such sums are added up, in their own type;
these are added to sums of float64. All of them stay in registers. Addresses and steps from plane
to plane are in bytes; nothing is read beyond the pixels given.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen import flow
from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.codegen.flow import I64
from fastnn.kernels.layers.batchnorm_steps import Step, with_or_without
from fastnn.kernels.tuning import COMMON

# Vectors that are added in pairs, a power of two, and how many of their sums are added up.
VECTORS, SUMS = COMMON.pixel_vectors, COMMON.pixel_sums
# Bits of a vector: half of the longer ones would lie across two lines of the cache.
WIDEST = 256


class _Sums:
    """Emits the sums of dout, dout xhat and xhat, with or without the mask of y."""

    def __init__(self, step: Step, args: list[ir.Value], masked: bool) -> None:
        *arrays, self.planes, self.pixels, mean, rstd = args
        self.s, self.masked = step, masked
        self.addresses, self.steps = arrays[::2], arrays[1::2]
        self.mean, self.rstd = step.v.splat(mean), step.v.splat(rstd)
        self.ones = step.v.ones()

    def _add(self, totals: list[ir.Value], places: list[ir.Value], masks: list[Any]) -> None:
        """Add the sums over some vectors, from these places of dout, x and y on."""
        s, v = self.s, self.s.v
        ds, xhats = [], []
        for i, mask in enumerate(masks):
            d, x, y = (v.offset(place, i * v.lanes) for place in places)
            value = v.load(d, mask)
            ds.append(s.above(v.zero, v.load(y, mask), value) if self.masked else value)
            # Behind the last pixel nothing is added: 0 times an infinite rstd would be NaN.
            xhat = s.b.fmul(s.b.fsub(v.load(x, mask), self.mean), self.rstd)
            xhats.append(xhat if mask is None else s.b.select(mask, xhat, v.zero))
        # Sums alone would take most of the time: numbers are in the caches, and there are 14 for
        # 8 products.
        added = s.gradient_sums(ds, xhats, self.ones)
        totals[:] = [s.b.fadd(p, q) for p, q in zip(totals, added, strict=True)]

    def _add_sets(self, totals: list[Any], places: list[Any], count: ir.Value) -> None:
        """Add so many sets of vectors, and move the places behind them."""
        b, v = self.s.b, self.s.v
        with flow.loop(b, count, [*places, *totals]) as carried:
            moved, sums = carried[:3], carried[3:]
            self._add(sums, moved, [None] * VECTORS)
            carried[:] = [*(v.offset(place, VECTORS * v.lanes) for place in moved), *sums]
        places[:], totals[:] = carried[:3], carried[3:]

    def _add_rest(self, totals: list[Any], places: list[Any], rest: ir.Value) -> None:
        """Add the last pixels, less than a set of vectors, by as few vectors as hold them."""
        b, v = self.s.b, self.s.v
        count = VECTORS
        while count:
            least, most = I64(count // 2 * v.lanes), I64(count * v.lanes)
            fits = b.and_(b.icmp_signed(">", rest, least), b.icmp_signed("<=", rest, most))
            with flow.when(b, fits, totals):
                masks = [v.mask(b.sub(rest, I64(i * v.lanes))) for i in range(count)]
                self._add(totals, places, masks)
            count //= 2

    def _widened(self, totals: list[Any], sums: list[Any]) -> list[ir.Value]:
        s = self.s
        return [s.b.fadd(p, s.widened(q)) for p, q in zip(totals, sums, strict=True)]

    def emit(self) -> list[ir.Value]:
        """Return the sums."""
        b, v, w = self.s.b, self.s.v, self.s.w
        zeros = [v.zero] * 3
        several = I64(VECTORS * v.lanes)
        sets, rest = b.sdiv(self.pixels, several), b.srem(self.pixels, several)
        runs, left = b.sdiv(sets, I64(SUMS)), b.srem(sets, I64(SUMS))
        with flow.loop(b, self.planes, [*self.addresses, *[w.zero] * 3]) as plane:
            firsts = plane[:3]
            with flow.loop(b, runs, list(plane)) as run:
                places, sums = run[:3], list(zeros)
                self._add_sets(sums, places, I64(SUMS))
                run[:] = [*places, *self._widened(run[3:], sums)]
            places, sums = run[:3], list(zeros)
            self._add_sets(sums, places, left)
            self._add_rest(sums, places, rest)
            moved = [b.add(*pair) for pair in zip(firsts, self.steps, strict=True)]
            plane[:] = [*moved, *self._widened(run[3:], sums)]
        return [w.total(total) for total in plane[3:]]


@intrinsic
def gradient_sums(
    typingctx, dout, dout_step, x, x_step, y, y_step, planes, pixels, sums, sums_step, mean, rstd
):
    """Write the sums of dout and dout xhat where y is above 0, and of xhat; y may be 0.

    They are float64.
    """
    if mean not in (types.float32, types.float64):
        return None
    signature = types.void(*[types.int64] * 10, mean, mean)

    def codegen(context, builder, signature, args):
        *given, sums, sums_step, mean, rstd = args
        step = Step(builder, signature.args[-1], 1, WIDEST)

        def write(masked: bool) -> None:
            for i, total in enumerate(_Sums(step, [*given, mean, rstd], masked).emit()):
                place = builder.add(sums, builder.mul(sums_step, I64(i)))
                builder.store(total, builder.inttoptr(place, step.w.scalar.as_pointer()))

        with_or_without(builder, given[4], write)
        return context.get_dummy_value()

    return signature, codegen
