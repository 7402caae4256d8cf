"""Weights of samples: their own, and those of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import validation as numbers
from fastnn._utils.types import Float64s, Int64s, Samples
from fastnn.layers.adoption import is_ours
from fastnn.layers.record import record_of, takes
from fastnn.ops._targets import largest
from fastnn.ops._weights import weights_of_samples
from fastnn.training.labels import some


def weights_for(
    network: Any,
    t: Samples,
    n: int,
    sample_weight: ArrayLike | None,
    class_weight: Any,
    name: str = "sample_weight",
) -> Float64s | None:
    """Return the weights of n samples, None if there are none.

    Parameters
    ----------
    network : Network
    t : ndarray
        Targets, checked; what they are matters to weights of classes only.
    n : int
    sample_weight : array_like, shape (N,), or None
    class_weight : dict, array_like of shape (classes,), "balanced" or None
    name : str
        What errors call `sample_weight`.

    Raises
    ------
    TypeError, ValueError
        If one is not as :meth:`fastnn.Network.fit` says, or all weights are 0.
    """
    if sample_weight is None and class_weight is None:
        return None
    if sample_weight is None:
        name = "class_weight"
    if (
        record_of(network.last_layer) is None
        or not is_ours(network)
        or network._has_own("gradient")
    ):
        raise ValueError(
            f"{name}: expected a network with a loss and a gradient of fastnn's, which take "
            f"weights, got {type(network).__name__} with {type(network.last_layer).__name__}"
        )
    weights = np.ones(n)
    if sample_weight is not None:
        weights = weights_of_samples(name, sample_weight, n, np.float64)
    if class_weight is not None:
        labels, names = _classes(network, t)
        weights = weights * _of_classes(class_weight, labels, names)[labels]
    return expect_some(weights, name)


def expect_some(weights: Float64s, name: str = "sample_weight") -> Float64s:
    """Return weights; raise ValueError if all are 0."""
    if not weights.any():
        raise ValueError(
            f"{name}: expected a weight above 0 among {len(weights)} samples, got none"
        )
    return weights


def _classes(network: Any, t: Samples) -> tuple[Int64s, list[Any]]:
    """Return the numbers of classes of samples, and what the classes are called."""
    kind, outputs = takes(network), network.output_size
    if kind == "classes":
        known = network._classes
        return np.asarray(largest(t), np.int64), [
            *(range(outputs) if known is None else known.values)
        ]
    if kind == "answers" and outputs == 1:
        known = network._classes
        names = [0, 1] if known is None else [*known.values]
        return (np.reshape(t, -1) > 0.5).astype(np.int64), names
    raise ValueError(
        'class_weight: expected a network with loss="cross_entropy", or "binary_cross_entropy" and '
        f"one output, got {type(network.last_layer).__name__} and {outputs}; sample_weight takes "
        "weights of samples"
    )


def _of_classes(given: Any, labels: Int64s, names: list[Any]) -> Float64s:
    """Return a weight for each class."""
    if isinstance(given, str):
        numbers.one_of("class_weight", given, ("balanced",))
        counts = np.bincount(labels, minlength=len(names))
        there = counts > 0
        balanced: Float64s = len(labels) / (np.count_nonzero(there) * np.maximum(counts, 1))
        return balanced
    if not isinstance(given, Mapping):
        return weights_of_samples("class_weight", given, len(names), np.float64, "class")
    weights, places = np.ones(len(names)), {name: i for i, name in enumerate(names)}
    for key, value in given.items():
        if key not in places:
            raise ValueError(
                f"class_weight: expected classes of the network, {some(names)}, got {key!r}"
            )
        weights[places[key]] = numbers.not_negative(f"class_weight[{key!r}]", value)
    return weights
