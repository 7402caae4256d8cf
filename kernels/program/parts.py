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

from fastnn.kernels.codegen.compile import address, is_ready, part
from fastnn.kernels.codegen.memory import matrix, pointer, typed, vector
from fastnn.kernels.gemm.multiply import TRANSPOSED_A, scratch_size
from fastnn.kernels.gemm.multiply import multiply as _multiply
from fastnn.kernels.program.dropout import dropout
from fastnn.kernels.program.norms import finish_norm, norm
from fastnn.kernels.program.steps import rows
from fastnn.kernels.program.tables import COMPUTE, PROGRAM, STEP, UPDATE, claim
from fastnn.kernels.program.updates import sum_slots, update
from fastnn.kernels.updates.rule import part_of


class Addresses(NamedTuple):
    """Where the functions are, under the names that they have in a program."""

    on_rows: int
    on_updates: int
    multiply: int
    on_norm: int
    on_dropout: int
    on_rule: int


def _make(real: Any) -> tuple[Any, ...]:
    bits = np.dtype(real).itemsize * 8

    def on_rows(data, chunk, worker):
        """Take a segment's steps for some rows."""
        p, like = typed(data, 1, PROGRAM)[0], numba.carray(pointer(0), 0, real)
        rows(p, data, typed(p.steps, p.end, STEP), like, worker)

    def on_norm(data, index, first, count, worker):
        """Take a step of batch normalisation; for no rows: what comes after all of them."""
        p, like = typed(data, 1, PROGRAM)[0], numba.carray(pointer(0), 0, real)
        s = typed(p.steps, index + 1, STEP)[index]
        if count > 0:
            norm(p, s, first, count, worker, like)
        else:
            finish_norm(p, s, like)

    def on_dropout(data, index, first, count, worker):
        """Take a step of dropout."""
        p, like = typed(data, 1, PROGRAM)[0], numba.carray(pointer(0), 0, real)
        dropout(p, typed(p.steps, index + 1, STEP)[index], first, count, worker, like)

    def on_updates(data, chunk, worker):
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

    def multiply(a, a_rows, a_columns, b, packed, bias, c, m, n, flags, top, bottom, scratch):
        """Compute some rows of a product; what is not there is 0."""
        like = numba.carray(pointer(0), 0, real)
        k = a_rows if flags & TRANSPOSED_A else a_columns
        _multiply(
            matrix(a, a_rows, a_columns, like), matrix(b, k, n, like),
            vector(packed, 1 if packed else 0, like), vector(bias, n if bias else 0, like),
            matrix(c, m, n, like), flags, top, bottom, 0, n,
            vector(scratch, scratch_size(m, k, n, like.itemsize), like),
        )  # fmt: skip

    functions = on_rows, on_updates, multiply, on_norm, on_dropout
    for function in functions:
        # Kept on disk under its name; its symbols are made of the qualified one, and two of one
        # name in a process, from two files, would be taken for each other.
        function.__name__ = function.__qualname__ = f"{function.__name__}_{bits}"
    return tuple(map(part, functions))


_PARTS = {np.dtype(real): _make(real) for real in (np.float32, np.float64)}


def _needed(dtype: DTypeLike, norms: bool, dropouts: bool, rule: str) -> list[Any]:
    """Return the functions for a type of numbers, None for those that are not needed."""
    always, (on_norm, on_dropout) = _PARTS[np.dtype(dtype)][:3], _PARTS[np.dtype(dtype)][3:]
    return [
        *always,
        on_norm if norms else None,
        on_dropout if dropouts else None,
        part_of(rule, np.dtype(dtype)) if rule else None,
    ]


def missing(dtype: DTypeLike, norms: bool, dropouts: bool, rule: str) -> list[Any]:
    """Return the functions of a program that were not compiled before."""
    needed = _needed(dtype, norms, dropouts, rule)
    return [part for part in needed if part is not None and not is_ready(part)]


@functools.cache
def addresses(dtype: DTypeLike, norms: bool, dropouts: bool, rule: str) -> Addresses:
    """Return the addresses of a program's functions, compiled if need be, 0 if not needed.

    Parameters
    ----------
    dtype : dtype
    norms, dropouts : bool
        Whether it has batch normalisation, and dropout.
    rule : str
        By which parameters are updated, such as ``"adam_"``; empty if they are not.
    """
    needed = _needed(dtype, norms, dropouts, rule)
    return Addresses(*(0 if part is None else address(part) for part in needed))
