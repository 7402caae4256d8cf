"""Random integers with the library's own seeded generator."""

from __future__ import annotations

from typing import SupportsIndex

import numpy as np

from fastnn._utils import validation as numbers
from fastnn._utils.types import Labels
from fastnn.ops._arrays import deliver, output
from fastnn.ops._dispatch import checked, run
from fastnn.ops._memory import empty

_I64 = np.dtype(np.int64)
_MAX_UINT64 = 2**64 - 1

_permutation, _choices = checked("permutation"), checked("choices")


def _keys(seed: SupportsIndex, step: SupportsIndex) -> tuple[int, int]:
    return (
        numbers.integer("seed", seed, 0, _MAX_UINT64),
        numbers.integer("step", step, 0, _MAX_UINT64),
    )


def permutation(
    n: SupportsIndex, seed: SupportsIndex, step: SupportsIndex = 0, out: Labels | None = None
) -> Labels:
    """Shuffle the numbers from 0 to n - 1 (Fisher and Yates).

    The result depends on `n`, `seed` and `step` only: it is the same whatever the number of
    threads, on every machine (Philox4x32-10; Salmon et al., SC 2011).

    Parameters
    ----------
    n : int
        How many, at least 0.
    seed : int
        Chooses the random sequence, in [0, 2**64).
    step : int
        Number of the call, in [0, 2**64); another step gives another order.
    out : ndarray of int64, shape (n,), optional
        Where to put the result.

    Returns
    -------
    ndarray of int64, shape (n,)
        `out` if given.

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range, or `out` does not fit.

    Examples
    --------
    >>> from fastnn import ops
    >>> sorted(ops.permutation(5, seed=0).tolist())
    [0, 1, 2, 3, 4]
    """
    n = numbers.integer("n", n, 0)
    if out is None:
        out = empty((n,), _I64)
    if type(out) is np.ndarray and out.size == n:
        done = _permutation(seed, step, out)
        if done is not NotImplemented:
            return done
    keys = _keys(seed, step)
    result = output("out", out, (n,), _I64)
    run("permutation", *keys, result)
    return deliver(out, result)


def choices(
    n: SupportsIndex,
    size: SupportsIndex,
    seed: SupportsIndex,
    step: SupportsIndex = 0,
    out: Labels | None = None,
) -> Labels:
    """Draw from the numbers 0 to n - 1, each time from all of them.

    The result depends on the arguments only, and a longer one begins with a shorter one; as
    for :func:`permutation`.

    Parameters
    ----------
    n : int
        At least 1.
    size : int
        How many to draw, at least 0.
    seed : int
        Chooses the random sequence, in [0, 2**64).
    step : int
        Number of the call, in [0, 2**64); another step gives other numbers.
    out : ndarray of int64, shape (size,), optional
        Where to put the result.

    Returns
    -------
    ndarray of int64, shape (size,)
        `out` if given.

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range, or `out` does not fit.
    """
    n = numbers.integer("n", n, 1)
    size = numbers.integer("size", size, 0)
    if out is None:
        out = empty((size,), _I64)
    if type(out) is np.ndarray and out.size == size:
        done = _choices(n, seed, step, out)
        if done is not NotImplemented:
            return done
    keys = _keys(seed, step)
    result = output("out", out, (size,), _I64)
    run("choices", n, *keys, result)
    return deliver(out, result)
