"""The part that takes a product again and again."""

from __future__ import annotations

from typing import Any

import numba

from fastnn.kernels.codegen.memory import matrix, pointer, vector
from fastnn.kernels.gemm.packing import pack_panels
from fastnn.kernels.gemm.product import multiply_all
from fastnn.kernels.gemm.sizes import packed_size, packs_b, panels, scratch_size


def _products(real: Any) -> Any:
    def products(rounds, product, a, b, c, m, k, n, space):
        """See :func:`fastnn.kernels.limits.products`."""
        like = numba.carray(pointer(0), 0, real)
        size = packed_size(k, n, like.itemsize) if packs_b(m, k, n, like.itemsize) else 0
        packed = vector(space, size, like)
        scratch = vector(
            space + size * like.itemsize, scratch_size(m, k, n, like.itemsize) + 1, like
        )
        x, W, y = matrix(a, m, k, like), matrix(b, k, n, like), matrix(c, m, n, like)
        for _ in range(rounds):
            if size > 0:
                pack_panels(W, packed, 0, k, 0, panels(W, n))
            multiply_all(product, x, W, packed, y, 0, scratch)
        return 0

    return products


PARTS = {"products": _products}
