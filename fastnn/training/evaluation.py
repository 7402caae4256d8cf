"""Loss, accuracy and metrics of a network, on samples that it is not trained on at that time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fastnn import layers
from fastnn._utils import interrupts
from fastnn._utils.types import Array, Samples
from fastnn.layers.state import normalised, set_statistics
from fastnn.ops._targets import count_correct
from fastnn.training.metrics import Metric
from fastnn.training.weights import Weights

TILE = 1 << 14  # samples that are evaluated at a time
_OF_STATISTICS = 1 << 12  # samples, at most, that statistics of normalisation are taken of


def evaluate(
    network: Any, x: Samples, t: Samples, metrics: Iterable[Metric] = (), tile: int = TILE
) -> tuple[float, ...]:
    """Return the mean loss without penalty, the share of samples that are right, and metrics.

    The second is 0 unless the network is trained on the cross-entropy. All are of one pass over
    the samples, so many at a time.
    """
    last = network.last_layer
    classes = isinstance(last, layers.SoftmaxWithLoss)
    loss, correct = 0.0, 0
    sums = [metric.sums() for metric in metrics]
    for scores, targets in _scored(network, x, t, tile):
        loss += last.forward(scores, targets) * len(scores)
        correct += count_correct(scores, targets) if classes else 0
        for each in sums:
            each.add(scores, targets)
    return loss / len(x), correct / len(x), *(each.value() for each in sums)


def _scored(network: Any, x: Samples, t: Samples, tile: int) -> Iterator[tuple[Array, Samples]]:
    for begin in range(0, len(x), tile):
        yield network.predict(x[begin : begin + tile]), t[begin : begin + tile]


def measure(network: Any, x: Samples, t: Samples, metrics: Iterable[Metric]) -> dict[str, float]:
    """Return metrics of one pass over the samples, by name."""
    sums = {metric.name: metric.sums() for metric in metrics}
    for scores, targets in _scored(network, x, t, TILE):
        for each in sums.values():
            each.add(scores, targets)
    return {name: each.value() for name, each in sums.items()}


def evaluate_averages(
    network: Any,
    averages: dict[str, Array],
    x_train: Samples,
    x: Samples,
    t: Samples,
    metrics: Iterable[Metric] = (),
) -> tuple[float, ...]:
    """Return what :func:`evaluate` does of the network with its moving average as parameters.

    Running statistics belong to the parameters that they were taken with, so they are taken again,
    of training samples that lie evenly among all. At the end the network is what it was.
    """
    weights = Weights(network)
    try:
        for key, average in averages.items():
            network.params[key][...] = average
        if normalised(network):
            set_statistics(network, x_train[:: -(-len(x_train) // _OF_STATISTICS)])
        return evaluate(network, x, t, metrics)
    finally:
        with interrupts.held():
            weights.put(network)
