"""The parts of a training program: their addresses, which stand in the program, and its loop.

The parts call each other by addresses: so each is optimised once, and the loop over steps and
segments is the same code for both types of numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastnn.kernels.machine import code, native
from fastnn.kernels.program.step import Step


class Addresses(NamedTuple):
    """Where the parts are, under the names that they have in a program."""

    on_rows: int
    on_updates: int
    product: int
    on_rule: int


_OWN = "on_rows", "on_updates", "product"


def part_of(rule: str) -> str:
    """Return the name of the part that updates parameters by a rule such as ``"adam_"``."""
    return f"step_of_{rule}"


def missing(
    dtype: DTypeLike, steps: Iterable[Step], rule: str
) -> list[tuple[str, np.dtype[Any] | None]]:
    """Return the parts of a program with such steps and rule that were not compiled before.

    Each by its name, and the dtype or None, as :func:`fastnn.kernels.machine.code.address` takes
    them.
    """
    names = [*_OWN, *dict.fromkeys(name for step in steps for name in step.needs)]
    names += [part_of(rule)] if rule else []
    needed: list[tuple[str, np.dtype[Any] | None]] = [(name, np.dtype(dtype)) for name in names]
    needed.append(("run", None))
    return [part for part in needed if not code.is_ready(*part)]


@functools.cache
def addresses(dtype: DTypeLike, rule: str) -> Addresses:
    """Return the addresses of a program's own parts, compiled if need be.

    Parameters
    ----------
    dtype : dtype
    rule : str
        By which parameters are updated, such as ``"adam_"``; empty if they are not.
    """
    dtype = np.dtype(dtype)
    own = {name: code.address(name, dtype) for name in _OWN}
    return Addresses(**own, on_rule=code.address(part_of(rule), dtype) if rule else 0)


def prepare() -> None:
    """Compile or load :func:`run` ahead of its first call."""
    native.function("run", 8)


def run(
    program: int,
    segments: tuple[int, int],
    settings: NDArray[np.float64],
    losses: NDArray[np.float64],
    hits: NDArray[np.int64],
) -> None:
    """Take as many steps as there are settings; see :func:`fastnn.kernels.program.run.run`.

    Parameters
    ----------
    program : int
        The address of a PROGRAM.
    segments : tuple of int
        The address of those, SEGMENT, and how many they are.
    settings : array of float64, shape (steps, S)
    losses : array of float64, shape (steps,)
    hits : array of int64, shape (steps,)
        All of them contiguous, and to be written.
    """
    steps, count = settings.shape
    address_of = native.address_of
    native.function("run", 8)(
        program, *segments, address_of(settings), count, steps, address_of(losses),
        address_of(hits),
    )  # fmt: skip
