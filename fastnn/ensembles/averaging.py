"""Predictions of several networks as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from fastnn import layers, ops
from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.networks import Network

if TYPE_CHECKING:
    from fastnn.ensembles.ensemble import Ensemble

_TILE = 2**20  # numbers


def expect_alike(name: str, network: Network, other: str, first: Network) -> None:
    """Raise ValueError unless two networks take the same samples and give the same outputs."""
    for attribute in ("input_size", "output_size", "input_scale"):
        ours, theirs = getattr(network, attribute), getattr(first, attribute)
        if ours != theirs:
            raise ValueError(
                f"{name}: expected {attribute} {theirs}, like that of {other}, got {ours}"
            )
    kinds = [isinstance(n.last_layer, layers.SoftmaxWithLoss) for n in (network, first)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"{name}: expected the same kind of loss as that of {other}")


def soft_targets(
    teacher: Network | Ensemble, x: ArrayLike, temperature: SupportsFloat = 1.0
) -> Array:
    """Return probabilities at a temperature: softmax(z / T) of the scores z.

    Section 2 of Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015.
    A high temperature brings out which wrong classes are the less wrong ones.

    Parameters
    ----------
    teacher : Network or Ensemble
        An ensemble gives the mean of its members' softmax(z / T).
    x : array_like, shape (N, D), or (N, ...) with D elements a sample
    temperature : float
        T, above 0.

    Returns
    -------
    ndarray, shape (N, output_size)

    Raises
    ------
    TypeError, ValueError
        If the teacher is no classifier, or a number is out of its range.

    Examples
    --------
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.ensembles import soft_targets
    >>> net = MultiLayerNet(2, [], 3, dtype="float64")
    >>> net.params["W1"][...] = [[0, 3, 6], [0, 0, 0]]
    >>> soft_targets(net, [[1, 0]]).round(3)
    array([[0.002, 0.047, 0.95 ]])
    >>> soft_targets(net, [[1, 0]], temperature=5).round(3)
    array([[0.163, 0.297, 0.541]])
    """
    temperature = numbers.positive("temperature", temperature)
    return mean_of(members_of(teacher), x, lambda scores: ops.softmax(scores / temperature))


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


def members_of(teacher: Any) -> list[Network]:
    """Return the networks of a teacher: of an ensemble, or the one that it is."""
    members = getattr(teacher, "networks", [teacher])
    if not members or not all(isinstance(net, Network) for net in members):
        raise TypeError(f"teacher: expected a network or an Ensemble, got {teacher!r}")
    if not isinstance(members[0].last_layer, layers.SoftmaxWithLoss):
        raise ValueError("teacher: expected softmax and cross-entropy as the loss")
    return list(members)
