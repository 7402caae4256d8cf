"""The product of matrices whose rows are some step apart, as a part: compiled once for a type."""

from __future__ import annotations

from typing import Any

import numba

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import address_of, matrix, pointer, vector
from fastnn.kernels.codegen.raw import ask
from fastnn.kernels.gemm.multiply import multiply
from fastnn.kernels.gemm.sizes import TRANSPOSED_A, scratch_size


def _product(real: Any) -> Any:
    def product(a, a_step, b, b_step, packed, c, c_step, m, k, n, flags, scratch):
        """Compute a product of matrices whose rows are any step apart."""
        like = numba.carray(pointer(0), 0, real)
        rows, columns = (k, m) if flags & TRANSPOSED_A else (m, k)
        multiply(
            matrix(a, rows, a_step, like)[:, :columns], matrix(b, k, b_step, like)[:, :n],
            vector(packed, 1 if packed else 0, like), vector(0, 0, like),
            matrix(c, m, c_step, like)[:, :n], flags, 0, m, 0, n,
            vector(scratch, scratch_size(m, k, n, like.itemsize), like),
        )  # fmt: skip
        return 0

    return product


PARTS = {"stepped_product": _product}


@serial
def multiply_all(product, a, b, packed, c, flags, scratch):
    """Compute C = [C +] A B as :func:`fastnn.kernels.gemm.multiply.multiply` does, all of it.

    Rows of the matrices may be any step apart.
    """
    m, n = c.shape
    k = a.shape[0] if flags & TRANSPOSED_A else a.shape[1]
    size = c.itemsize
    arguments = (
        address_of(a), a.strides[0] // size, address_of(b), b.strides[0] // size,
        address_of(packed), address_of(c), c.strides[0] // size, m, k, n, flags,
        address_of(scratch),
    )  # fmt: skip
    ask(product, arguments)
