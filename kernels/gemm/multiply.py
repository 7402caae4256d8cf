"""Matrix products, C = A B, with bias and ReLU applied while a tile is in registers.

C is cut into pieces by rows or by columns. A product goes through its rows block by block, packs
the block of A where that pays, and calls the micro-kernel for each tile. B is packed before, where
it is transposed or its rows are far apart. Every element of C is a sum over k in ascending order,
in blocks that depend on k alone: it has the same bits for any number of pieces. Where many elements
of A are like, they are skipped.
"""

from __future__ import annotations

from fastnn.kernels.codegen.compile import inlined, serial
from fastnn.kernels.codegen.memory import matrix, vector
from fastnn.kernels.gemm.folded import folded
from fastnn.kernels.gemm.microkernel import tile
from fastnn.kernels.gemm.packing import pack_rows
from fastnn.kernels.gemm.sizes import (
    ACCUMULATE,
    FOLDS,
    HEIGHTS,
    RELU,
    ROWS,
    SUMS,
    TILES,
    TRANSPOSED_A,
    VECTORS,
    WIDTHS,
    block_k,
    block_tiles,
    list_bytes,
    may_skip,
    packs_a,
    panels,
    scratch_size,
    tile_columns,
)
from fastnn.kernels.gemm.zeros import list_groups, listed

_BEGIN = 0.25  # what a tile costs beside its sums, in cycles for a k. A choice


def _heights(most: int) -> tuple[int, ...]:
    """Return, by the number of rows left, the height of the next tile, so that all cost least.

    For each k a tile's sums take two units of the machine, and no less than 4 cycles: then the next
    can be added to each. Where that makes no difference, it counts for tiles of one vector.
    """

    def cost(height: int, vectors: int) -> float:
        return max(height * vectors / 2, 4) + _BEGIN

    best: list[tuple[float, float, tuple[int, ...]]] = [(0, 0, (0,))]
    for rows in range(1, most + 1):
        ways = ((h, *best[rows - h]) for h in HEIGHTS if h <= rows)
        best.append(
            min((a + cost(h, VECTORS), b + cost(h, 1), (h, *taken)) for h, a, b, taken in ways)
        )
    return tuple(max(taken) for _, _, taken in best)


_HEIGHT = _heights(3 * ROWS)
# By height, the widest of its tiles.
_WIDEST = tuple(max(TILES.get(rows, (0,))) for rows in range(ROWS + 1))
_NARROWEST = tuple(min(TILES.get(rows, (0,))) for rows in range(ROWS + 1))
# Widths of more columns than the main tile's, the widest first, and the others'.
_WIDE = tuple(sorted({w for own in TILES.values() for w in own if w >= 2 * VECTORS}))[::-1]
_MASKED = tuple(w for w in WIDTHS if w < 2 * VECTORS)


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
def _reach(width, lanes):
    """Return how many columns a tile has: half a vector, or whole ones."""
    return (width + 1) // 2 * lanes if width > 1 else lanes // 2


@serial
def _fold(columns, lanes):
    """Return how many rows a vector holds where so many columns are left, or 0 for one."""
    for fold in FOLDS:
        if columns <= lanes // fold and lanes >= 2 * fold:
            return fold
    return 0


@serial
def _width(widest, columns, lanes, folds):
    """Return the width of the next tile, at most `widest`, for so many columns left.

    Where tiles fold and very few columns are beside whole vectors, these come first.
    """
    whole = columns // lanes * lanes
    beside = columns - whole
    if folds and 0 < whole < columns < VECTORS * lanes and _fold(beside, lanes) == FOLDS[0]:
        columns = whole
    for width in _WIDE:
        if width <= widest and width * lanes <= 2 * columns:
            return width
    for width in _MASKED:
        if columns <= _reach(width, lanes):
            return width
    return 2


# The next two are inlined: the machine code of all tiles would be optimised once more as part of a
# function between them and the product.


@inlined
def _multiply_tile(a, b, lists, k, bias, c, i, j, height, width, flags, like):
    """Compute a tile of C of so many rows.

    The arguments are those of :func:`_multiply_block`, but b is the tile's first element of B and
    the step to the next row; i and j are the tile's place. To find that element here, for each
    tile, took 5 % more of 256 x 512 x 512: it takes two divisions.
    """
    size = like.itemsize
    numbers, length = 0, k
    if lists != 0 and height == ROWS:
        numbers = lists + i // ROWS * list_bytes(block_k(size))
        length = listed(k, numbers)
    tile(
        length, numbers,
        a[0] + (i // ROWS * a[3] + i % ROWS * a[1] if a[3] != 0 else i * a[1]), a[1], a[2],
        b[0], b[1],
        c[0] + i * c[1] + j * size, c[1],
        c[2] - j,
        bias + j * size if bias != 0 else 0,
        flags, height, max(width, _NARROWEST[height]), like.dtype.type(0),
    )  # fmt: skip


@inlined
def _multiply_block(a, b, lists, grouped, k, bias, c, rows, left, right, few, flags, like):
    """Compute some rows of C for a block of k.

    Parameters
    ----------
    a : tuple of int
        Of the block of A: its address, steps to the next row and to the next k, and from one group
        of `ROWS` rows to the next, if it is packed, else 0.
    b : tuple of int
        Of the block's first row of B: its address, and steps to the next and from panel to panel.
    lists : int
        Address of the lists of k that are used, one for each group of rows, or 0.
    grouped : bool
        Whether tiles have the rows of a group, for there are lists or groups of a packed A.
    k, rows : int
        Of the block.
    bias : int
        Address, or 0.
    c : tuple of int
        Of the rows of C: address, step to the next row, and how many columns there are.
    left, right : int
    few : bool
        Whether to take one row of tiles after the other, each wide.
    flags : int
        Of a tile.
    like : array
        Any, of the matrices' type.
    """
    columns, size = tile_columns(like), like.itemsize
    lanes, most = columns // VECTORS, ROWS if grouped else 3 * ROWS
    folds = not grouped and not few
    above = 0
    while above < rows:
        below = above + _HEIGHT[rows - above] if few else rows
        widest = _WIDEST[below - above] if few else 2 * VECTORS
        j = left
        while j < right:
            width = _width(widest, right - j, lanes, folds)
            fold = _fold(right - j, lanes) if folds else 0
            b_tile = b[0] + j // columns * b[2] + j % columns * size, b[1]
            i = above
            while fold > 0 and i + fold * SUMS <= below:
                folded(
                    k, a[0] + i * a[1], a[1], a[2], b_tile[0], b_tile[1],
                    c[0] + i * c[1] + j * size, c[1], c[2] - j,
                    bias + j * size if bias != 0 else 0, flags, fold,
                    1 if a[1] == size else 0, like.dtype.type(0),
                )  # fmt: skip
                i += fold * SUMS
            while i < below:
                height = _HEIGHT[min(below - i, most)]
                _multiply_tile(a, b_tile, lists, k, bias, c, i, j, height, width, flags, like)
                i += height
            j += _reach(width, lanes)
        above = below


@inlined
def multiply(
    a, a_step, b, b_step, packed, bias, c, c_step, m, k, n, flags, top, bottom, left, right,
    scratch, like,
):  # fmt: skip
    """Compute some rows and columns of C = [C +] A B [+ bias].

    Numbers alone: to make arrays of addresses takes as long as a product of 10 x 10.

    Parameters
    ----------
    a, a_step : int
        Address of A, (m, k), or (k, m) with the flag TRANSPOSED_A, and elements from row to row.
    b, b_step : int
        The same of B, (k, n), read unless `packed`.
    packed : int
        Address of B in panels, or 0.
    bias : int
        Address of n numbers, or 0.
    c, c_step : int
        The same of C, (m, n).
    m, k, n : int
    flags : int
        ACCUMULATE, RELU, TRANSPOSED_A.
    top, bottom, left, right : int
        Which rows and columns; `top` and `left` are multiples of a tile's.
    scratch : int
        Address of scratch_size(m, k, n, itemsize) elements or more.
    like : array
        Any, of the matrices' type.
    """
    size, columns = like.itemsize, tile_columns(like)
    most, block_rows = block_k(size), block_tiles(size) * ROWS
    transposed, relu = flags & TRANSPOSED_A, flags & RELU
    a_row, a_k = a_step * size, size
    if transposed:
        a_row, a_k = a_k, a_row
    pack_a = packs_a(m, k, n, size)
    skip = may_skip(m, k, n, size) and packed == 0 and not pack_a
    few = m < ROWS and packed == 0
    if packed == 0 and m <= block_rows and k <= most and not (pack_a or skip or few):
        # One block, as it stands, and nothing to set up: a sixth less time for 16 x 16 x 16, a
        # twelfth for 32 x 32 x 32.
        _multiply_block(
            (a + top * a_row, a_row, a_k, 0), (b, b_step * size, columns * size), 0, False, k, bias,
            (c + top * c_step * size, c_step * size, n), bottom - top, left, right, False,
            flags & (ACCUMULATE | RELU), like,
        )  # fmt: skip
        return
    b_row = columns * size if packed != 0 else b_step * size
    b_panel = b_row * k if packed != 0 else columns * size
    for first in range(0, max(k, 1), most):
        depth = min(most, k - first)
        last = first + depth == k
        now = (ACCUMULATE if first > 0 else flags & ACCUMULATE) | (relu if last else 0)
        bias_now = bias if last else 0
        b_block = (packed if packed != 0 else b) + first * b_row, b_row, b_panel
        for i0 in range(top, bottom, block_rows):
            rows = min(block_rows, bottom - i0)
            lists = 0
            if pack_a:
                rows_of_a = matrix(a, k if transposed else m, a_step, like)
                target = vector(scratch, scratch_size(m, k, n, size), like)
                pack_rows(rows_of_a, transposed, i0, rows, first, depth, target)
                a_block = scratch, size, ROWS * size, ROWS * size * depth
            else:
                a_block = a + i0 * a_row + first * a_k, a_row, a_k, 0
            if skip:
                skip = list_groups(
                    matrix(a, k if transposed else m, a_step, like), transposed, i0, rows, first,
                    depth, matrix(b, k, b_step, like), left, right, i0 == top, scratch,
                    list_bytes(most),
                )  # fmt: skip
                lists = scratch if skip else 0
            grouped = pack_a or lists != 0
            c_block = c + i0 * c_step * size, c_step * size, n
            _multiply_block(
                a_block, b_block, lists, grouped, depth, bias_now, c_block, rows, left, right, few,
                now, like,
            )  # fmt: skip
