"""The compiled functions of a training program, one of each for a type of numbers.

They call each other by addresses, which stand in the program: so each is optimised once, and the
loop over steps and segments is the same code for both types.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import DTypeLike

from fastnn.kernels.codegen.compile import address, is_ready
from fastnn.kernels.codegen.memory import matrix, pointer, typed, vector
from fastnn.kernels.gemm.multiply import TRANSPOSED_A, scratch_size
from fastnn.kernels.gemm.multiply import multiply as _multiply
from fastnn.kernels.program.step import Step, by_type
from fastnn.kernels.program.steps import rows
from fastnn.kernels.program.tables import COMPUTE, PROGRAM, STEP, UPDATE, claim
from fastnn.kernels.program.updates import sum_slots, update


class Addresses(NamedTuple):
    """Where the functions are, under the names that they have in a program."""

    on_rows: int
    on_updates: int
    multiply: int


def _on_rows(real: Any) -> Any:
    def on_rows(data, chunk, worker):  # type: ignore[no-untyped-def]
        """Take a segment's steps for some rows."""
        p, like = typed(data, 1, PROGRAM)[0], numba.carray(pointer(0), 0, real)
        rows(p, data, typed(p.steps, p.end, STEP), like, worker)

    return on_rows


def _on_updates(real: Any) -> Any:
    def on_updates(data, chunk, worker):  # type: ignore[no-untyped-def]
        """Do updates of the thread's stream, and then what is left of those of others.

        From step to step a thread mostly has the same ones, whose numbers are in its cache.
        """
        p, like = typed(data, 1, PROGRAM)[0], numba.carray(pointer(0), 0, real)
        updates = typed(p.updates, p.n_updates, UPDATE)
        if p.stage & COMPUTE and p.slots_now > 0:  # then there is one stream
            sum_slots(p, like)
        for i in range(p.streams):
            stream = (worker + i) % p.streams
            index = stream + claim(p, stream) * p.streams
            while index < p.n_updates:
                update(p, updates[index], like, worker)
                index = stream + claim(p, stream) * p.streams

    return on_updates


def _multiply_of(real: Any) -> Any:
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

    return multiply


_MAKERS = {"on_rows": _on_rows, "on_updates": _on_updates, "multiply": _multiply_of}
_PARTS = {name: by_type(make, name, __name__) for name, make in _MAKERS.items()}


def missing(dtype: DTypeLike, steps: Iterable[Step]) -> list[Any]:
    """Return the functions of a program with such steps that were not compiled before."""
    dtype = np.dtype(dtype)
    needed = [parts[dtype] for parts in _PARTS.values()]
    needed += [step.parts[dtype] for step in dict.fromkeys(steps) if step.parts]
    return [part for part in needed if not is_ready(part)]


@functools.cache
def addresses(dtype: DTypeLike) -> Addresses:
    """Return the addresses of a program's own functions, compiled if need be."""
    return Addresses(*(address(parts[np.dtype(dtype)]) for parts in _PARTS.values()))
