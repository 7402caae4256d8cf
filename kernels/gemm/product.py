"""The product as a part: compiled once for a type of numbers, and called by its address."""

from __future__ import annotations

from typing import Any

import numba

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import address_of, pointer
from fastnn.kernels.codegen.raw import ask
from fastnn.kernels.gemm.multiply import multiply as _multiply
from fastnn.kernels.gemm.sizes import TRANSPOSED_A


def _product(real: Any) -> Any:
    def product(
        a, a_step, b, b_step, packed, bias, c, c_step, m, k, n, flags, top, bottom, left, right,
        scratch
    ):  # fmt: skip
        """Compute some of a product; see :func:`multiply`. What is not there is 0.

        Rows of the matrices are any step apart, in elements.
        """
        _multiply(
            a, a_step, b, b_step, packed, bias, c, c_step, m, k, n, flags, top, bottom, left, right,
            scratch, numba.carray(pointer(0), 0, real),
        )  # fmt: skip
        return 0

    return product


PARTS = {"product": _product}


@serial
def multiply(product, a, b, packed, bias, c, flags, top, bottom, left, right, scratch):
    """Do as :func:`fastnn.kernels.gemm.multiply.multiply`, by the part at an address.

    `packed`, `bias` and `scratch` are addresses; what is not there is 0. Rows of the matrices may
    be any step apart.
    """
    m, n = c.shape
    k = a.shape[0] if flags & TRANSPOSED_A else a.shape[1]
    size = c.itemsize
    ask(
        product,
        (
            address_of(a), a.strides[0] // size, address_of(b), b.strides[0] // size, packed, bias,
            address_of(c), c.strides[0] // size, m, k, n, flags, top, bottom, left, right, scratch,
        ),
    )  # fmt: skip


@serial
def multiply_all(product, a, b, packed, c, flags, scratch):
    """Compute all of C = [C +] A B by the part at an address; `packed` and `scratch` are arrays."""
    m, n = c.shape
    multiply(product, a, b, address_of(packed), 0, c, flags, 0, m, 0, n, address_of(scratch))
