"""Matrix products, C = A B, with bias and ReLU applied while a tile is in registers.

C is cut into pieces by rows or by columns. A product goes through its rows block by block, packs
the block of A where that pays, and calls the micro-kernel for each tile. B is packed before,
in panels as wide as the main tile, where it is transposed or its rows are far apart. Every
element of C is a sum over k in ascending order, in blocks that depend on k alone: it has the
same bits for any number of pieces. Where many elements of A are zero, they are skipped.
"""

from __future__ import annotations

from numba.extending import register_jitable

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.gemm.microkernel import (
    ACCUMULATE,
    COLUMNS32,
    COLUMNS64,
    HEIGHTS,
    RELU,
    ROWS,
    TILES,
    VECTORS,
    tile,
    transpose,
)
from fastnn.kernels.gemm.zeros import (
    are_finite,
    few_remain,
    list_bytes,
    list_used,
    listed,
    may_skip,
)

# Tuned on AMD Zen 4 (32 KiB and 1 MiB caches) with AVX-512, float32, one thread. Blocks of k and
# of rows: a packed block of A (192 KiB in float32) and a panel of B (64 KiB) stay in the
# second-level cache; k = 256 or 384 took 5 to 15 % longer at 1024 x 1024 x 1024.
BLOCK_K = 512
BLOCK_ROWS = 8 * ROWS

# Packing costs one pass over an operand and is paid back by each use. From so many columns of C
# on A is packed: at 1024 columns that takes 5 to 10 % off, at 256 and 512 it adds as much. From
# so many columns and rows on B is packed: at 1024 columns and 64 rows that would add 20 %. Where
# sums are shorter than DEEP, nothing is: at k = 8 that would add 20 %.
WIDE_A, WIDE_B, TALL_B, DEEP = 768, 256, 96, 16

TRANSPOSED_A = 4  # a flag beside those of a tile

# By the number of rows left, up to a tile's: the height of the next tile; by height, the range
# of its widths.
_HEIGHT = tuple(max((h for h in HEIGHTS if h <= rows), default=0) for rows in range(ROWS + 1))
_WIDEST = tuple(max(TILES.get(rows, (0,))) for rows in range(ROWS + 1))
_NARROWEST = tuple(min(TILES.get(rows, (0,))) for rows in range(ROWS + 1))


@serial
def tile_columns(array):
    """Return how many columns of the array's type the main tile has."""
    return COLUMNS32 if array.itemsize == 4 else COLUMNS64


@serial
def panels(array, n):
    """Return into how many panels n columns of the array's type go."""
    return (n + tile_columns(array) - 1) // tile_columns(array)


@register_jitable
def packed_size(k, n, itemsize):
    """Return how many elements a packed matrix of k rows and n columns takes."""
    columns = COLUMNS32 if itemsize == 4 else COLUMNS64
    return (n + columns - 1) // columns * columns * k


@register_jitable
def packs_a(m, k, n):
    """Return whether a product (m, k) (k, n) runs faster from a packed A."""
    return n >= WIDE_A and m >= ROWS and k >= DEEP


@register_jitable
def packs_b(m, k, n):
    """Return whether a product (m, k) (k, n) runs faster from a packed B."""
    return n >= WIDE_B and m >= TALL_B and k >= DEEP


@serial
def pack_panels(b, packed, top, k, start, stop):
    """Copy rows of B, of which it has k, into its panels.

    Panels stand one after another, in each the columns of one row side by side; b holds the
    rows from `top` on, and goes into the panels from `start` up to `stop`.
    """
    width = tile_columns(b)
    rows, n = b.shape
    for p in range(start, stop):
        panel, left = packed[(p * k + top) * width : (p + 1) * k * width], p * width
        columns = min(width, n - left)
        for i in range(rows):
            row, to = b[i, left : left + columns], panel[i * width : i * width + columns]
            for j in range(columns):
                to[j] = row[j]


@serial
def pack_transposed(b, packed, start, stop):
    """Copy panels of B as :func:`pack_panels`, B being the transpose of b."""
    zero = b.dtype.type(0)
    width = tile_columns(b)
    lanes, size = width // VECTORS, b.itemsize
    n, k = b.shape
    for p in range(start, stop):
        panel, left = packed[p * width * k : (p + 1) * width * k], p * width
        columns = min(width, n - left)
        deep = k // lanes * lanes
        for j in range(0, columns, lanes):
            source = b.ctypes.data + (left + j) * b.strides[0]
            target = panel.ctypes.data + j * size
            for i in range(0, deep, lanes):
                transpose(
                    source + i * size, b.strides[0], columns - j,
                    target + i * width * size, width * size, zero,
                )  # fmt: skip
        for j in range(columns):
            row = b[left + j]
            for i in range(deep, k):
                panel[i * width + j] = row[i]


@serial
def _pack_rows(a, transposed, top, rows, first, k, to):
    """Copy a block of A in groups of `ROWS` rows, in each the rows of one k side by side."""
    for i in range(0, rows, ROWS):
        group = to[i * k : (i + ROWS) * k]
        height = min(ROWS, rows - i)
        if transposed:
            for q in range(k):
                row = a[first + q, top + i : top + i + height]
                for j in range(height):
                    group[q * ROWS + j] = row[j]
        else:
            for j in range(height):
                row = a[top + i + j, first : first + k]
                for q in range(k):
                    group[q * ROWS + j] = row[q]


@serial
def _width(widest, columns, lanes):
    """Return the width of the next tile, at most `widest`, for so many columns left."""
    for width in (16, 8, 4):
        if width <= widest and width * lanes <= 2 * columns:
            return width
    return 1 if 2 * columns <= lanes else 2


@register_jitable
def scratch_size(m, k, n):
    """Return how many elements :func:`multiply` packs a block of A into, or lists its k in."""
    if packs_a(m, k, n):
        return BLOCK_ROWS * BLOCK_K
    return BLOCK_ROWS // ROWS * list_bytes(BLOCK_K) // 4 if may_skip(m, k, n) else 0


@serial
def cut(c, start, stop, pieces):
    """Return the rows and the columns of some of the pieces of C: top, bottom, left, right."""
    m, n = c.shape
    groups = (m + ROWS - 1) // ROWS
    if groups >= panels(c, n):
        return groups * start // pieces * ROWS, min(m, groups * stop // pieces * ROWS), 0, n
    columns = tile_columns(c)
    left, right = panels(c, n) * start // pieces, panels(c, n) * stop // pieces
    return 0, m, left * columns, min(n, right * columns)


@serial
def multiply(a, b, packed, bias, c, flags, top, bottom, left, right, scratch):
    """Compute some rows and columns of C = [C +] A B [+ bias].

    Parameters
    ----------
    a : array, shape (m, k), or (k, m) with the flag TRANSPOSED_A
    b : array, shape (k, n), read unless `packed`
    packed : array
        B in panels, or empty.
    bias : array, shape (n,) or (0,)
    c : array, shape (m, n)
    flags : int
        ACCUMULATE, RELU, TRANSPOSED_A.
    top, bottom, left, right : int
        Which rows and columns; `top` and `left` are multiples of a tile's.
    scratch : array, shape (scratch_size(m, k, n),) or more
    """
    zero = c.dtype.type(0)
    size, columns = c.itemsize, tile_columns(c)
    lanes = columns // VECTORS
    m, n = c.shape
    transposed, relu = flags & TRANSPOSED_A, flags & RELU
    k = a.shape[0] if transposed else a.shape[1]
    pack_a = packs_a(m, k, n)
    b_step = columns * size if packed.size > 0 else b.strides[0]
    b_panel = b_step * k if packed.size > 0 else columns * size
    b_address = packed.ctypes.data if packed.size > 0 else b.ctypes.data
    skip = may_skip(m, k, n) and packed.size == 0 and not pack_a
    lists = scratch.ctypes.data
    # Few rows of an unpacked B: one row of tiles after the other, each wide.
    few = m < ROWS and packed.size == 0
    for first in range(0, max(k, 1), BLOCK_K):
        depth = min(BLOCK_K, k - first)
        last = first + depth == k
        now = (ACCUMULATE if first > 0 else flags & ACCUMULATE) | (relu if last else 0)
        for i0 in range(top, bottom, BLOCK_ROWS):
            rows = min(BLOCK_ROWS, bottom - i0)
            if pack_a:
                _pack_rows(a, transposed, i0, rows, first, depth, scratch)
                a_first, a_row, a_k = scratch.ctypes.data, size, ROWS * size
                a_group = ROWS * size * depth
            else:
                a_row, a_k = a.strides[0], size
                if transposed:
                    a_row, a_k = a_k, a_row
                a_first = a.ctypes.data + i0 * a_row + first * a_k
                a_group = ROWS * a_row
            if skip:
                for i in range(0, rows - ROWS + 1, ROWS):
                    address = lists + i // ROWS * list_bytes(BLOCK_K)
                    list_used(a, transposed, i0 + i, first, depth, address)
                    if i == 0 and i0 == top:
                        skip = few_remain(listed(depth, address), depth)
                        skip = skip and are_finite(b, first, depth, left, right)
                        if not skip:
                            break
            above = 0
            while above < rows:
                below = above + _HEIGHT[rows - above] if few else rows
                widest = _WIDEST[below - above] if few else 2 * VECTORS
                j = left
                while j < right:
                    width = _width(widest, right - j, lanes)
                    b_first = b_address + j // columns * b_panel + j % columns * size
                    i = above
                    while i < below:
                        height = _HEIGHT[min(below - i, ROWS)]
                        numbers = 0
                        length = depth
                        if skip and height == ROWS:
                            numbers = lists + i // ROWS * list_bytes(BLOCK_K)
                            length = listed(depth, numbers)
                        tile(
                            length, numbers,
                            a_first + i // ROWS * a_group + i % ROWS * a_row, a_row, a_k,
                            b_first + first * b_step, b_step,
                            c.ctypes.data + (i0 + i) * c.strides[0] + j * size, c.strides[0],
                            n - j,
                            bias.ctypes.data + j * size if bias.size > 0 and last else 0,
                            now, height, max(width, _NARROWEST[height]), zero,
                        )  # fmt: skip
                        i += height
                    j += width * lanes // 2
                above = below
