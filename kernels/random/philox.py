"""Philox4x32-10, a counter-based generator of random words, on vectors of blocks.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The key
is the seed; the counter is the block number (low, high) and the step (low, high); each block
gives four words of 32 bits. A lane holds a word in 64 bits, so that a product is one
multiplication. LLVM does not see that by itself and leaves the loop over blocks scalar.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen import simd
from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.codegen.flow import I32, I64
from fastnn.kernels.random.sizes import BLOCKS, PAIRS

_VECTOR = ir.VectorType(I64, BLOCKS)
# Multipliers and key increments (table 2 and section 3.2 of the paper).
_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10


def _all(value: int) -> ir.Constant:
    return ir.Constant(_VECTOR, [value] * BLOCKS)


_LOW, _SHIFT = _all(0xFFFFFFFF), _all(32)


def _words(b: ir.IRBuilder, block: ir.Value, step: ir.Value, seed: ir.Value) -> list[ir.Value]:
    """Emit the four words of as many blocks as there are lanes."""

    def halves(value: ir.Value) -> tuple[ir.Value, ir.Value]:
        return b.and_(value, _LOW), b.lshr(value, _SHIFT)

    (c0, c1), (c2, c3), (k0, k1) = halves(block), halves(step), halves(seed)
    for _ in range(_ROUNDS):
        low0, high0 = halves(b.mul(c0, _all(_M0)))
        low1, high1 = halves(b.mul(c2, _all(_M1)))
        c0, c1 = b.xor(b.xor(high1, c1), k0), low1
        c2, c3 = b.xor(b.xor(high0, c3), k1), low0
        k0, k1 = b.and_(b.add(k0, _all(_W0)), _LOW), b.and_(b.add(k1, _all(_W1)), _LOW)
    return [c0, c1, c2, c3]


def _interleaved(b: ir.IRBuilder, vectors: list[ir.Value]) -> ir.Value:
    """Emit one vector of the first lanes of four vectors, then the second lanes, and so on."""
    n = BLOCKS

    def joined(x: ir.Value, y: ir.Value) -> ir.Value:
        order = list(range(2 * x.type.count))
        return b.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, len(order)), order))

    flat = joined(joined(*vectors[:2]), joined(*vectors[2:]))
    order = [word * n + lane for lane in range(n) for word in range(4)]
    return b.shuffle_vector(flat, flat, ir.Constant(ir.VectorType(I32, 4 * n), order))


@intrinsic
def keep(typingctx, block, step, seed, threshold, mask):
    """Write for `WORDS` words whether they are at least `threshold`.

    Parameters
    ----------
    block, step, seed : int
        Counter and key; the words are those of the block and the next `BLOCKS` - 1.
    threshold : int
    mask : int
        Address of `WORDS` booleans.
    """

    def codegen(context, builder, signature, args):
        splat = simd.Vectors(builder, types.float64, BLOCKS).splat  # for any type of lane
        block, step, seed, threshold = map(splat, args[:4])
        block = builder.add(block, ir.Constant(_VECTOR, list(range(BLOCKS))))
        byte = ir.IntType(8)
        kept = [
            builder.zext(builder.icmp_unsigned(">=", word, threshold), ir.VectorType(byte, BLOCKS))
            for word in _words(builder, block, step, seed)
        ]
        flat = _interleaved(builder, kept)
        builder.store(flat, builder.inttoptr(args[4], flat.type.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 4, types.int64), codegen


@intrinsic
def draw(typingctx, block, step, seed, numbers):
    """Write `PAIRS` random numbers of 64 bits, each of two words, the low one first.

    Parameters
    ----------
    block, step, seed : int
        Counter and key; the words are those of the block and the next `BLOCKS` - 1.
    numbers : int
        Address of `PAIRS` integers of 64 bits.
    """

    def codegen(context, builder, signature, args):
        splat = simd.Vectors(builder, types.float64, BLOCKS).splat  # for any type of lane
        block, step, seed = map(splat, args[:3])
        block = builder.add(block, ir.Constant(_VECTOR, list(range(BLOCKS))))
        words = _words(builder, block, step, seed)
        pairs = [builder.or_(words[i], builder.shl(words[i + 1], _SHIFT)) for i in (0, 2)]
        order = [lane + which * BLOCKS for lane in range(BLOCKS) for which in range(2)]
        flat = builder.shuffle_vector(*pairs, ir.Constant(ir.VectorType(I32, PAIRS), order))
        builder.store(flat, builder.inttoptr(args[3], flat.type.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(*[types.uint64] * 3, types.int64), codegen


@intrinsic
def below(typingctx, number, bound):
    """Return number * bound / 2^64, rounded down: a number in [0, bound) of 64 random bits.

    Of the 2^64 numbers each result is given by 2^64 / bound, or by one more.
    """

    def codegen(context, builder, signature, args):
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(a, wide) for a in args))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), I64)

    return types.int64(types.uint64, types.int64), codegen
