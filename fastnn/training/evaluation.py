"""Loss, accuracy and metrics of a network, on samples that it is not trained on at that time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fastnn._utils import interrupts
from fastnn._utils.types import Array, Float64s, Samples
from fastnn.layers.record import right_of
from fastnn.layers.state import normalised, set_statistics
from fastnn.training.metrics import Metric
from fastnn.training.weights import Weights

TILE = 1 << 14  # samples that are evaluated at a time
_OF_STATISTICS = 1 << 12  # samples, at most, that statistics of normalisation are taken of


def evaluate(
    network: Any,
    x: Samples,
    t: Samples,
    metrics: Iterable[Metric] = (),
    tile: int = TILE,
    weights: Float64s | None = None,
) -> tuple[float, ...]:
    """Return the mean loss without penalty, the share of samples that are right, and metrics.

    The second is 0 unless the network is trained on a cross-entropy. All are of one pass over
    the samples, so many at a time. With weights of the samples they are weighted.
    """
    last, right = network.last_layer, right_of(network)
    loss, correct, done = 0.0, 0.0, 0
    total = len(x) if weights is None else float(weights.sum())
    sums = [metric.sums() for metric in metrics]
    for scores, targets in _scored(network, x, t, tile):
        n = len(scores)
        w = None if weights is None else weights[done : done + n]
        if w is None:
            loss += last.forward(scores, targets) * n
        else:
            loss += last.forward(scores, targets, w) * float(w.sum())
        if right is not None:
            hits = right(scores, targets)
            correct += int(np.count_nonzero(hits)) if w is None else float(w[hits].sum())
        done += n
        for each in sums:
            each.add(scores, targets, w)
    return loss / total, correct / total, *(each.value() for each in sums)


def _scored(network: Any, x: Samples, t: Samples, tile: int) -> Iterator[tuple[Array, Samples]]:
    for begin in range(0, len(x), tile):
        yield network.predict(x[begin : begin + tile]), t[begin : begin + tile]


def measure(
    network: Any,
    x: Samples,
    t: Samples,
    metrics: Iterable[Metric],
    weights: Float64s | None = None,
) -> dict[str, float]:
    """Return metrics of one pass over the samples, by name."""
    sums, done = {metric.name: metric.sums() for metric in metrics}, 0
    for scores, targets in _scored(network, x, t, TILE):
        w = None if weights is None else weights[done : done + len(scores)]
        done += len(scores)
        for each in sums.values():
            each.add(scores, targets, w)
    return {name: each.value() for name, each in sums.items()}


def evaluate_averages(
    network: Any,
    averages: dict[str, Array],
    x_train: Samples,
    x: Samples,
    t: Samples,
    metrics: Iterable[Metric] = (),
    weights: Float64s | None = None,
) -> tuple[float, ...]:
    """Return what :func:`evaluate` does of the network with its moving average as parameters.

    Running statistics belong to the parameters that they were taken with, so they are taken again,
    of training samples that lie evenly among all. At the end the network is what it was.
    """
    before = Weights(network)
    try:
        for key, average in averages.items():
            network.params[key][...] = average
        if normalised(network):
            set_statistics(network, x_train[:: -(-len(x_train) // _OF_STATISTICS)])
        return evaluate(network, x, t, metrics, weights=weights)
    finally:
        with interrupts.held():
            before.put(network)
