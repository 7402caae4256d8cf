"""Matrix products, C = A B, with bias and ReLU applied while a tile is in registers.

C is cut into parts, one for each thread. A part goes through its rows block by block, packs
the block of A where that pays, and calls the micro-kernel for each tile. B is packed before,
in panels as wide as a tile, where it is transposed or its rows are far apart. Every element of
C is a sum over k in ascending order, in blocks that depend on k alone: it has the same bits
for any number of parts.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastnn.kernels.compile import serial
from fastnn.kernels.driver import kernel
from fastnn.kernels.microkernel import (
    ACCUMULATE,
    COLUMNS32,
    COLUMNS64,
    HEIGHTS,
    RELU,
    ROWS,
    VECTORS,
    tile,
    transpose,
)
from fastnn.kernels.threads import worth

# Blocks of k and of rows: a packed block of A (192 KiB in float32) and a panel of B (128 KiB)
# stay in a second-level cache.
BLOCK_K = 1024
BLOCK_ROWS = 4 * ROWS

# Packing costs one pass over an operand and is paid back by each use: from so many columns of C
# on it pays to pack A and, given so many rows, B. Narrower products run faster in place.
WIDE, TALL = 256, 64

KEPT = 1 << 26  # bytes of workspace that a thread holds on to


@serial
def _tile_columns(array):
    return COLUMNS32 if array.itemsize == 4 else COLUMNS64


@serial
def _height(rows):
    """Return the height of the next tile, the largest that is not above `rows`."""
    for height in HEIGHTS[:-1]:
        if height <= rows:
            return height
    return 1


@kernel("packed.shape[0]")
def _pack_panels(b, packed, start, stop):
    """Copy panels of B: row i of panel p holds columns p * width to (p + 1) * width of row i."""
    width = _tile_columns(b)
    k, n = b.shape
    for p in range(start, stop):
        panel, left = packed[p], p * width
        columns = min(width, n - left)
        for i in range(k):
            row, to = b[i, left : left + columns], panel[i * width : i * width + columns]
            for j in range(columns):
                to[j] = row[j]


@kernel("packed.shape[0]")
def _pack_transposed(b, packed, start, stop):
    """Copy panels of B as :func:`_pack_panels`, B being the transpose of b."""
    zero = b.dtype.type(0)
    width = _tile_columns(b)
    lanes, size = width // VECTORS, b.itemsize
    n, k = b.shape
    for p in range(start, stop):
        panel, left = packed[p], p * width
        columns = min(width, n - left)
        whole, deep = columns // lanes * lanes, k // lanes * lanes
        for j in range(0, whole, lanes):
            source = b.ctypes.data + (left + j) * b.strides[0]
            target = panel.ctypes.data + j * size
            for i in range(0, deep, lanes):
                transpose(
                    source + i * size, b.strides[0], target + i * width * size, width * size, zero
                )
        for j in range(columns):
            row = b[left + j]
            for i in range(deep if j < whole else 0, k):
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


@kernel("parts")
def _multiply(a, transposed, pack_a, b, packed, bias, relu, c, parts, by_rows, start, stop):
    """Compute parts of C; `packed` says that B is in panels, `pack_a` that A is to be packed."""
    zero = c.dtype.type(0)
    size, width = c.itemsize, _tile_columns(c)
    m, n = c.shape
    k = a.shape[0] if transposed else a.shape[1]
    b_step = width * size if packed else b.strides[0]
    b_panel = width * size * k if packed else width * size
    scratch = np.empty(BLOCK_ROWS * BLOCK_K if pack_a else 0, c.dtype)
    for part in range(start, stop):
        top, bottom, left, right = 0, m, 0, n
        if by_rows:
            top, bottom = m * part // parts, m * (part + 1) // parts
        else:
            panels = (n + width - 1) // width
            left = panels * part // parts * width
            right = min(n, panels * (part + 1) // parts * width)
        for first in range(0, max(k, 1), BLOCK_K):
            depth = min(BLOCK_K, k - first)
            last = first + depth == k
            flags = (ACCUMULATE if first > 0 else 0) | (RELU if relu and last else 0)
            b_first = b.ctypes.data + first * b_step
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
                for j in range(left, right, width):
                    b_address = b_first + j // width * b_panel
                    c_address = c.ctypes.data + i0 * c.strides[0] + j * size
                    b_bias = bias.ctypes.data + j * size if bias.size > 0 and last else 0
                    i = 0
                    while i < rows:
                        height = _height(rows - i)
                        a_address = a_first + i // ROWS * a_group + i % ROWS * a_row
                        tile(
                            depth, a_address, a_row, a_k, b_address, b_step,
                            c_address + i * c.strides[0], c.strides[0], n - j, b_bias, flags,
                            height, zero,
                        )  # fmt: skip
                        i += height


class _Workspace(threading.local):
    """Memory for packed panels, kept for the next product of the same Python thread.

    It is taken for the time of a product: a signal handler that interrupts it and multiplies
    too finds none, and gets its own.
    """

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    @contextmanager
    def matrix(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> Iterator[Any]:
        taken, self._bytes = self._bytes, np.empty(0, np.uint8)
        size = shape[0] * shape[1] * dtype.itemsize
        if taken.size < size:
            taken = np.empty(size, np.uint8)
        try:
            yield taken[:size].view(dtype).reshape(shape)
        finally:
            if taken.size <= KEPT:
                self._bytes = taken


_workspace = _Workspace()
_NO_BIAS = {np.dtype(t): np.empty(0, t) for t in (np.float32, np.float64)}


def product(
    a: Any,
    b: Any,
    out: Any,
    chunks: int,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    bias: Any = None,
    relu: bool = False,
) -> None:
    """out = A B [+ bias], then max(out, 0) if `relu`; A and B are a and b or their transposes."""
    m, n = out.shape
    if out.size == 0:
        return
    k = a.shape[0] if transpose_a else a.shape[1]
    width = COLUMNS32 if out.itemsize == 4 else COLUMNS64
    panels = -(-n // width)
    by_rows = m // ROWS >= panels
    parts = min(chunks, -(-m // ROWS) if by_rows else panels)
    pack_a = n >= WIDE and m >= ROWS
    bias = _NO_BIAS[out.dtype] if bias is None else bias

    def multiply(b: Any, packed: bool) -> None:
        _multiply(a, transpose_a, pack_a, b, packed, bias, relu, out, parts, by_rows, parts)

    if transpose_b or (n >= WIDE and m >= TALL):
        with _workspace.matrix((panels, width * k), out.dtype) as panel:
            pack = _pack_transposed if transpose_b else _pack_panels
            pack(b, panel, worth(chunks, panel.size))
            multiply(panel, packed=True)
    else:
        multiply(b, packed=False)
