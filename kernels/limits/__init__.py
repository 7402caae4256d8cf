"""Loops at the limits of the machine, for benchmarks to compare with.

They are cut and run by the same threads as the kernels, and have no reference: what they compute
is of no use. `loops` has their parts.
"""

from __future__ import annotations

import platform
from typing import Any

from numpy.typing import NDArray

from fastnn.kernels.gemm import workspace
from fastnn.kernels.gemm.sizes import packed_size, scratch_size
from fastnn.kernels.machine import code, native
from fastnn.kernels.plain.level import vector_bits

# Registers that do not wait for each other: more than the latency of the instruction (4 cycles)
# times the units that do it (2, or 4 on some Arm cores), and no more than there are.
REGISTERS = 24 if vector_bits() == 512 or platform.machine() in ("aarch64", "arm64") else 12


def multiply_add(rounds: int, out: NDArray[Any], chunks: int) -> None:
    """Do nothing but fused multiply-adds in registers, for each element of out."""
    part = native.function("multiply_add", 4, out.dtype)
    part(rounds, out.ctypes.data, out.size, chunks)


def flops(rounds: int, out: NDArray[Any]) -> int:
    """Return how many operations :func:`multiply_add` does."""
    lanes = vector_bits() // (8 * out.itemsize)
    return 2 * lanes * REGISTERS * rounds * out.size


def copy(rounds: int, source: NDArray[Any], target: NDArray[Any], chunks: int) -> None:
    """Copy a flat array to another and back, `rounds` times in all, vector by vector."""
    part = native.function("copy", 5, source.dtype)
    part(rounds, source.ctypes.data, target.ctypes.data, source.size, chunks)


def copy_bytes(rounds: int, source: NDArray[Any], target: NDArray[Any], chunks: int) -> None:
    """Copy as :func:`copy` with the C library's memcpy; it passes large arrays by the cache."""
    part = native.function("copy_bytes", 5, source.dtype)
    part(rounds, source.ctypes.data, target.ctypes.data, source.size, chunks)


def products(rounds: int, a: NDArray[Any], b: NDArray[Any], c: NDArray[Any]) -> None:
    """Compute c = a b, `rounds` times, on the calling thread: what a product takes without Python.

    Operands are packed in each round, where that pays.
    """
    (m, k), n = a.shape, b.shape[1]
    size = packed_size(k, n, a.itemsize) + scratch_size(m, k, n, a.itemsize) + 1
    space = workspace.take(size, a.dtype)
    part, product = native.function("products", 9, a.dtype), code.address("product", a.dtype)
    addresses = (array.ctypes.data for array in (a, b, c))
    part(rounds, product, *addresses, m, k, n, space.ctypes.data)
    workspace.give_back(space)
