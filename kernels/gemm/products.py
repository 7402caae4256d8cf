"""Matrix products that kernels call by address, compiled once for a type of numbers.

What is part of a kernel is compiled anew as part of each function around it, and of all that the
product takes longest.
"""

from __future__ import annotations

import functools
from typing import Any

import numba
import numpy as np
from numpy.typing import DTypeLike

from fastnn.kernels.codegen.atomics import call
from fastnn.kernels.codegen.compile import address, part, serial
from fastnn.kernels.codegen.memory import address_of, matrix, pointer, vector
from fastnn.kernels.gemm.multiply import multiply
from fastnn.kernels.gemm.sizes import TRANSPOSED_A, scratch_size


def _make(real: Any) -> Any:
    def product(a, a_step, b, b_step, packed, c, c_step, m, k, n, flags, scratch):
        like = numba.carray(pointer(0), 0, real)
        rows, columns = (k, m) if flags & TRANSPOSED_A else (m, k)
        multiply(
            matrix(a, rows, a_step, like)[:, :columns], matrix(b, k, b_step, like)[:, :n],
            vector(packed, 1 if packed else 0, like), vector(0, 0, like),
            matrix(c, m, c_step, like)[:, :n], flags, 0, m, 0, n,
            vector(scratch, scratch_size(m, k, n, like.itemsize), like),
        )  # fmt: skip

    # Kept on disk under this name.
    product.__name__ = product.__qualname__ = f"product_{np.dtype(real).itemsize * 8}"
    return part(product)


_PRODUCTS = {np.dtype(real): _make(real) for real in (np.float32, np.float64)}


@functools.cache
def product_of(dtype: DTypeLike) -> int:
    """Return the address that :func:`multiply_all` calls, compiled if need be."""
    return address(_PRODUCTS[np.dtype(dtype)])


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
    call(product, arguments)
