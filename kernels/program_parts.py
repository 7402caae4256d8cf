"""The compiled functions of a training program, one of each for a type of numbers.

They call each other by addresses, which stand in the program: so each is optimised once, and the
loop over steps and segments is the same code for both types.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import DTypeLike

from fastnn.kernels.compile import address, is_ready, part
from fastnn.kernels.gemm import TRANSPOSED_A, scratch_size
from fastnn.kernels.gemm import multiply as _multiply
from fastnn.kernels.memory import matrix, pointer, typed, vector
from fastnn.kernels.program_steps import finish_step
from fastnn.kernels.program_steps import rows as _rows
from fastnn.kernels.program_tables import PROGRAM, STEP, UPDATE
from fastnn.kernels.program_updates import update as _update


class Addresses(NamedTuple):
    """Where the functions are, under the names that they have in a program."""

    on_rows: int
    on_update: int
    multiply: int


def _make(real: Any) -> tuple[Any, Any, Any]:
    bits = np.dtype(real).itemsize * 8

    def on_rows(data, chunk, worker):  # type: ignore[no-untyped-def]
        """Take a segment's steps for some rows; chunk -1: what comes after them."""
        p, like = typed(data, 1, PROGRAM)[0], numba.carray(pointer(0), 0, real)
        steps = typed(p.steps, max(p.end, p.finish + 1), STEP)
        if chunk < 0:
            finish_step(p, steps[p.finish], like)
        else:
            _rows(p, steps, like, chunk, worker)

    def on_update(data, index, worker):  # type: ignore[no-untyped-def]
        """Do the present stages of an update."""
        p, like = typed(data, 1, PROGRAM)[0], numba.carray(pointer(0), 0, real)
        _update(p, typed(p.updates, p.n_updates, UPDATE)[index], like, worker)

    def multiply(  # type: ignore[no-untyped-def]
        a, a_rows, a_columns, b, packed, bias, c, m, n, flags, top, bottom, scratch
    ):
        """Compute some rows of a product; what is not there is 0."""
        like = numba.carray(pointer(0), 0, real)
        k = a_rows if flags & TRANSPOSED_A else a_columns
        _multiply(
            matrix(a, a_rows, a_columns, like), matrix(b, k, n, like),
            vector(packed, 1 if packed else 0, like), vector(bias, n if bias else 0, like),
            matrix(c, m, n, like), flags, top, bottom, 0, n,
            vector(scratch, scratch_size(m, k, n), like),
        )  # fmt: skip

    functions = on_rows, on_update, multiply
    for function in functions:
        function.__name__ = f"{function.__name__}_{bits}"  # under which it is kept on disk
    return tuple(map(part, functions))


_PARTS = {np.dtype(real): _make(real) for real in (np.float32, np.float64)}


def are_ready(dtype: DTypeLike) -> bool:
    """Say whether the functions for a type of numbers were compiled before."""
    return all(map(is_ready, _PARTS[np.dtype(dtype)]))


@functools.cache
def addresses(dtype: DTypeLike) -> Addresses:
    """Return the addresses of the functions for a type of numbers, compiled if need be."""
    return Addresses(*map(address, _PARTS[np.dtype(dtype)]))
