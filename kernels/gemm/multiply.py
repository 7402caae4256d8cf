"""Matrix products, C = A B, with bias and ReLU applied while a tile is in registers.

C is cut into pieces by rows or by columns. A product goes through its rows block by block, packs
the block of A where that pays, and calls the micro-kernel for each tile. B is packed before, where
it is transposed or its rows are far apart. Every element of C is a sum over k in ascending order,
in blocks that depend on k alone: it has the same bits for any number of pieces. Where many elements
of A are zero, they are skipped.
"""

from __future__ import annotations

from fastnn.kernels.codegen.compile import inlined, serial
from fastnn.kernels.codegen.memory import address_of
from fastnn.kernels.gemm.microkernel import tile
from fastnn.kernels.gemm.packing import pack_rows
from fastnn.kernels.gemm.sizes import (
    ACCUMULATE,
    HEIGHTS,
    RELU,
    ROWS,
    TILES,
    TRANSPOSED_A,
    VECTORS,
    block_k,
    block_tiles,
    list_bytes,
    may_skip,
    packs_a,
    panels,
    tile_columns,
)
from fastnn.kernels.gemm.zeros import list_groups, listed

# By the number of rows left, up to a tile's: the height of the next tile; by height, the range
# of its widths.
_HEIGHT = tuple(max((h for h in HEIGHTS if h <= rows), default=0) for rows in range(ROWS + 1))
_WIDEST = tuple(max(TILES.get(rows, (0,))) for rows in range(ROWS + 1))
_NARROWEST = tuple(min(TILES.get(rows, (0,))) for rows in range(ROWS + 1))


# Tiles of a piece along the longer side of C, at least, before it is cut along the other side too.
FEWEST = 4


@serial
def cut(c, piece, pieces):
    """Return the rows and the columns of a piece of C: top, bottom, left, right.

    C is cut along its longer side, in tiles, as long as a piece has `FEWEST` of them there, and
    then along the other.
    """
    m, n = c.shape
    groups, of_c, columns = (m + ROWS - 1) // ROWS, panels(c, n), tile_columns(c)
    most = max(1, max(groups, of_c) // FEWEST)
    other = min((pieces + most - 1) // most, max(1, min(groups, of_c)))
    along = pieces // other
    i, j = piece % along, piece // along
    if j >= other:
        return 0, 0, 0, 0
    if groups >= of_c:
        down, across = along, other
    else:
        down, across, i, j = other, along, j, i
    top, bottom = groups * i // down * ROWS, groups * (i + 1) // down * ROWS
    left, right = of_c * j // across * columns, of_c * (j + 1) // across * columns
    return top, min(m, bottom), left, min(n, right)


@serial
def _width(widest, columns, lanes):
    """Return the width of the next tile, at most `widest`, for so many columns left."""
    for width in (16, 8, 4):
        if width <= widest and width * lanes <= 2 * columns:
            return width
    return 1 if 2 * columns <= lanes else 2


# The next two are inlined: the machine code of all tiles would be optimised once more as part of a
# function between them and the product.


@inlined
def _multiply_tile(a, b, lists, k, bias, c, i0, i, j, rows, width, flags):
    """Compute a tile of C, of at most so many rows; return how many it has.

    The arguments are those of :func:`_multiply_block`, but b is the tile's first element of B and
    the step to the next row; i and j are the tile's place. To find that element here, for each
    tile, took 5 % more of 256 x 512 x 512: it takes two divisions.
    """
    size, height = c.itemsize, _HEIGHT[min(rows, ROWS)]
    numbers, length = 0, k
    if lists != 0 and height == ROWS:
        numbers = lists + i // ROWS * list_bytes(block_k(size))
        length = listed(k, numbers)
    tile(
        length, numbers,
        a[0] + i // ROWS * a[3] + i % ROWS * a[1], a[1], a[2],
        b[0], b[1],
        c.ctypes.data + (i0 + i) * c.strides[0] + j * size, c.strides[0],
        c.shape[1] - j,
        bias + j * size if bias != 0 else 0,
        flags, height, max(width, _NARROWEST[height]), c.dtype.type(0),
    )  # fmt: skip
    return height


@inlined
def _multiply_block(a, b, lists, k, bias, c, i0, rows, left, right, few, flags):
    """Compute some rows of C, those from i0 on, for a block of k.

    Parameters
    ----------
    a : tuple of int
        Of the block of A: its address, steps to the next row and to the next k, and from one group
        of `ROWS` rows to the next.
    b : tuple of int
        Of the block's first row of B: its address, and steps to the next and from panel to panel.
    lists : int
        Address of the lists of k that are used, one for each group of rows, or 0.
    k, rows : int
        Of the block.
    bias : int
        Address, or 0.
    c : array
    i0, left, right : int
    few : bool
        Whether to take one row of tiles after the other, each wide.
    flags : int
        Of a tile.
    """
    columns, size = tile_columns(c), c.itemsize
    lanes = columns // VECTORS
    above = 0
    while above < rows:
        below = above + _HEIGHT[rows - above] if few else rows
        widest = _WIDEST[below - above] if few else 2 * VECTORS
        j = left
        while j < right:
            width = _width(widest, right - j, lanes)
            b_tile = b[0] + j // columns * b[2] + j % columns * size, b[1]
            i = above
            while i < below:
                i += _multiply_tile(a, b_tile, lists, k, bias, c, i0, i, j, below - i, width, flags)
            j += width * lanes // 2
        above = below


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
    scratch : array, shape (scratch_size(m, k, n, itemsize),) or more
    """
    size, columns = c.itemsize, tile_columns(c)
    most, block_rows = block_k(size), block_tiles(size) * ROWS
    m, n = c.shape
    transposed, relu = flags & TRANSPOSED_A, flags & RELU
    k = a.shape[0] if transposed else a.shape[1]
    pack_a = packs_a(m, k, n, size)
    b_step = columns * size if packed.size > 0 else b.strides[0]
    b_panel = b_step * k if packed.size > 0 else columns * size
    b_address = address_of(packed) if packed.size > 0 else address_of(b)
    skip = may_skip(m, k, n, size) and packed.size == 0 and not pack_a
    few = m < ROWS and packed.size == 0
    for first in range(0, max(k, 1), most):
        depth = min(most, k - first)
        last = first + depth == k
        now = (ACCUMULATE if first > 0 else flags & ACCUMULATE) | (relu if last else 0)
        bias_now = address_of(bias) if last else 0
        b_block = b_address + first * b_step, b_step, b_panel
        for i0 in range(top, bottom, block_rows):
            rows = min(block_rows, bottom - i0)
            if pack_a:
                pack_rows(a, transposed, i0, rows, first, depth, scratch)
                a_block = address_of(scratch), size, ROWS * size, ROWS * size * depth
            else:
                a_row, a_k = a.strides[0], size
                if transposed:
                    a_row, a_k = a_k, a_row
                a_block = address_of(a) + i0 * a_row + first * a_k, a_row, a_k, ROWS * a_row
            lists = 0
            if skip:
                skip = list_groups(
                    a, transposed, i0, rows, first, depth, b, left, right, i0 == top,
                    address_of(scratch), list_bytes(most),
                )  # fmt: skip
                lists = address_of(scratch) if skip else 0
            _multiply_block(
                a_block, b_block, lists, depth, bias_now, c, i0, rows, left, right, few, now
            )
