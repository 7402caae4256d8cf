"""Weights of samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn.ops._arrays import real


def weights_of_samples(
    name: str,
    given: ArrayLike,
    n: int,
    dtype: np.dtype[Any] | type[np.floating[Any]],
    each: str = "sample",
) -> Array:
    """Return n weights of a dtype, side by side, checked; `each` says what has one.

    Raises
    ------
    ValueError
        If there are more or fewer, or one is negative or not finite.
    TypeError
        If they are not real numbers.
    """
    weights = real(name, given)
    if weights.shape != (n,):
        raise ValueError(f"{name}: expected shape ({n},), one for each {each}, got {weights.shape}")
    with np.errstate(all="ignore"):  # what is too large becomes infinity
        plain = np.require(weights, dtype, ["C", "A", "W"])
    good = (plain >= 0) & (plain < np.inf)
    if not good.all():
        i = int(good.argmin())
        raise ValueError(
            f"{name}: expected finite numbers of at least 0, got {weights[i]} in {name}[{i}]"
        )
    return plain
