"""Predictions of several networks as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn.layers.record import takes
from fastnn.networks import Network
from fastnn.training.labels import some

_TILE = 2**20  # numbers


def expect_alike(name: str, network: Network, other: str, first: Network) -> None:
    """Raise ValueError unless two networks take the same samples and give the same outputs."""
    for attribute in ("input_size", "output_size", "input_scale"):
        ours, theirs = getattr(network, attribute), getattr(first, attribute)
        if ours != theirs:
            raise ValueError(
                f"{name}: expected {attribute} {theirs}, like that of {other}, got {ours}"
            )
    kinds = [takes(each) or "numbers" for each in (network, first)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"{name}: expected the same kind of loss as that of {other}")
    ours, theirs = network._classes, first._classes
    if ours is not None and theirs is not None and ours != theirs:
        raise ValueError(
            f"{name}: expected classes {some(theirs.values)}, like those of {other}, got "
            f"{some(ours.values)}"
        )


def mean_of(networks: Sequence[Network], x: ArrayLike, function: Callable[[Array], Array]) -> Array:
    """Return the mean over networks of a function of the rows of their scores.

    Beside the result there is one network's scores in memory, not those of all.
    """
    dtype = np.result_type(*(network.dtype for network in networks))
    total: Array | None = None
    for network in networks:
        scores = network.predict(x)
        if total is None:
            total = np.zeros(scores.shape, dtype)
        for rows in tiles(scores):
            total[rows] += function(scores[rows])
    assert total is not None
    total /= len(networks)
    return total


def tiles(array: Array) -> Iterator[slice]:
    """Return slices of rows that have some megabytes each."""
    step = max(1, _TILE // array.shape[1])
    return (slice(begin, begin + step) for begin in range(0, len(array), step))
