"""Sizes of tiles, panels and workspace, and when it pays to pack: what callers must know."""

from __future__ import annotations

from typing import Any

from fastnn.kernels.plain.level import vector_bits
from fastnn.kernels.plain.shared import shared
from fastnn.kernels.tuning import COMMON, by_itemsize

BITS = vector_bits()
TILES = COMMON.tiles
HEIGHTS = tuple(TILES)
ROWS, VECTORS = HEIGHTS[0], TILES[HEIGHTS[0]][0] // 2
# Widths of tiles that all heights have, in half vectors, the narrowest first.
WIDTHS = tuple(sorted(width for width in TILES[ROWS]))
COLUMNS32 = VECTORS * BITS // 32  # of the main tile, in float32
COLUMNS64 = VECTORS * BITS // 64

FOLDS = COMMON.folds  # rows that a vector holds, the most first
SUMS = 8  # vectors of a folded tile: as many sums as two units have under way at once

ACCUMULATE, RELU = 1, 2  # flags of a tile
TRANSPOSED_A = 4  # a flag beside those of a tile

NUMBER = 4  # bytes; a list of k has one for each k that it may come to, and then their count

pack_a_columns = by_itemsize("pack_a_columns")
_pack_b_columns, _pack_b_rows = by_itemsize("pack_b_columns"), by_itemsize("pack_b_rows")
_pack_depth = by_itemsize("pack_depth")
block_k, block_tiles = by_itemsize("block_k"), by_itemsize("block_tiles")
_skip_depth, _skip_columns = by_itemsize("skip_depth"), by_itemsize("skip_columns")
_few, _few_per_unit = by_itemsize("few_samples"), by_itemsize("few_samples_per_unit")


@shared
def tile_columns(array: Any) -> int:
    """Return how many columns of the array's type the main tile has."""
    return COLUMNS32 if array.itemsize == 4 else COLUMNS64


@shared
def panels(array: Any, n: int) -> int:
    """Return into how many panels n columns of the array's type go."""
    return (n + tile_columns(array) - 1) // tile_columns(array)


@shared
def packed_size(k: int, n: int, itemsize: int) -> int:
    """Return how many elements a packed matrix of k rows and n columns takes."""
    columns = COLUMNS32 if itemsize == 4 else COLUMNS64
    return (n + columns - 1) // columns * columns * k


@shared
def packs_a(m: int, k: int, n: int, itemsize: int) -> bool:
    """Return whether a product (m, k) (k, n) runs faster from a packed A."""
    return n >= pack_a_columns(itemsize) and m >= ROWS and k >= _pack_depth(itemsize)


@shared
def packs_b(m: int, k: int, n: int, itemsize: int) -> bool:
    """Return whether a product (m, k) (k, n) runs faster from a packed B."""
    wide, tall = n >= _pack_b_columns(itemsize), m >= _pack_b_rows(itemsize)
    return wide and tall and k >= _pack_depth(itemsize)


@shared
def may_skip(m: int, k: int, n: int, itemsize: int) -> bool:
    """Return whether it may pay to look for zeros in a product (m, k) (k, n)."""
    return m >= ROWS and k >= _skip_depth(itemsize) and n >= _skip_columns(itemsize)


@shared
def list_bytes(k: int) -> int:
    """Return what a list of so many k takes, in bytes."""
    return (k + BITS // 32) * NUMBER


@shared
def scratch_size(m: int, k: int, n: int, itemsize: int) -> int:
    """Return how many elements a product packs a block of A into, or lists its k in."""
    tiles, depth = block_tiles(itemsize), block_k(itemsize)
    if packs_a(m, k, n, itemsize):
        return tiles * ROWS * depth + BITS // (8 * itemsize)
    return tiles * list_bytes(depth) // 4 if may_skip(m, k, n, itemsize) else 0


@shared
def is_few(n: int, h: int, itemsize: int) -> bool:
    """Return whether n samples are so few that dx is computed as scalar products."""
    return n <= _few(itemsize) or n <= _few_per_unit(itemsize) * h
