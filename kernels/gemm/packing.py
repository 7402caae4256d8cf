"""Packing: operands of a product copied, in the order in which its tiles read them.

B goes into panels as wide as the main tile, where it is transposed or its rows are far apart, and
blocks of A into groups of as many rows as the main tile has. To pack pays only where an operand is
used often enough.
"""

from __future__ import annotations

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import vector
from fastnn.kernels.gemm.microkernel import copy_group, copy_panel, transpose
from fastnn.kernels.gemm.sizes import BITS, ROWS, VECTORS, tile_columns

VECTOR = BITS // 8  # bytes


@serial
def pack_panels(b, packed, top, k, start, stop):
    """Copy rows of B, of which it has k, into its panels.

    Panels stand one after another, in each the columns of one row side by side; b holds the
    rows from `top` on, and goes into the panels from `start` up to `stop`.
    """
    width, size = tile_columns(b), b.itemsize
    rows, n = b.shape
    for p in range(start, stop):
        left = p * width
        copy_panel(
            b.ctypes.data + left * size, b.strides[0], rows, n - left,
            packed.ctypes.data + (p * k + top) * width * size, width * size, b.dtype.type(0),
        )  # fmt: skip


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
def row_of(a, i, first, size):
    """Return numbers of a row, which are side by side whatever the step from row to row is."""
    return vector(a.ctypes.data + i * a.strides[0] + first * a.itemsize, size, a)


@serial
def pack_rows(a, transposed, top, rows, first, k, to):
    """Copy a block of A in groups of `ROWS` rows, in each the rows of one k side by side.

    Less than a vector is written behind the last group.
    """
    zero, size, step = a.dtype.type(0), a.itemsize, a.strides[0]
    lanes = VECTOR // size
    for i in range(0, rows, ROWS):
        target, target_step = to.ctypes.data + i * k * size, ROWS * size
        height = min(ROWS, rows - i)
        if transposed:
            source = a.ctypes.data + first * step + (top + i) * size
            copy_group(source, step, k, height, target, target_step, zero)
        else:
            deep = k // lanes * lanes
            # The last rows first: what is written behind them is then written over.
            for above in range((height - 1) // lanes * lanes, -1, -lanes):
                source = a.ctypes.data + (top + i + above) * step + first * size
                for q in range(0, deep, lanes):
                    transpose(
                        source + q * size, step, height - above,
                        target + (q * ROWS + above) * size, target_step, zero,
                    )  # fmt: skip
            group = to[i * k : (i + ROWS) * k]
            for j in range(height):
                row = row_of(a, top + i + j, first, k)
                for q in range(deep, k):
                    group[q * ROWS + j] = row[q]
