"""The product as a part: compiled once for a type of numbers, and called by its address."""

from __future__ import annotations

from typing import Any

import numba

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import address_of, matrix, pointer, vector
from fastnn.kernels.codegen.raw import ask
from fastnn.kernels.gemm.multiply import multiply as _multiply
from fastnn.kernels.gemm.sizes import TRANSPOSED_A, scratch_size


def _product(real: Any) -> Any:
    def product(
        a, rows, columns, b, packed, bias, c, m, n, flags, top, bottom, left, right, scratch
    ):
        """Compute some of a product; see :func:`multiply`. What is not there is 0."""
        like = numba.carray(pointer(0), 0, real)
        k = rows if flags & TRANSPOSED_A else columns
        _multiply(
            matrix(a, rows, columns, like), matrix(b, k, n, like),
            vector(packed, 1 if packed else 0, like), vector(bias, n if bias else 0, like),
            matrix(c, m, n, like), flags, top, bottom, left, right,
            vector(scratch, scratch_size(m, k, n, like.itemsize), like),
        )  # fmt: skip
        return 0

    return product


PARTS = {"product": _product}


@serial
def multiply(product, a, b, packed, bias, c, flags, top, bottom, left, right, scratch):
    """Do as :func:`fastnn.kernels.gemm.multiply.multiply`, by the part at an address.

    `packed`, `bias` and `scratch` are addresses; what is not there is 0.
    """
    ask(
        product,
        (
            address_of(a), a.shape[0], a.shape[1], address_of(b), packed, bias, address_of(c),
            c.shape[0], c.shape[1], flags, top, bottom, left, right, scratch,
        ),
    )  # fmt: skip
