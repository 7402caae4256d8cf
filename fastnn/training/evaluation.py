"""Loss and accuracy of a network on samples that it is not trained on."""

from __future__ import annotations

from typing import Any

from fastnn import layers
from fastnn._utils import interrupts
from fastnn._utils.types import Array, Samples
from fastnn.layers.state import normalised, set_statistics
from fastnn.ops._targets import count_correct
from fastnn.training.weights import Weights

_TILE = 1 << 14  # samples that are evaluated at a time
_OF_STATISTICS = 1 << 12  # samples, at most, that statistics of normalisation are taken of


def evaluate(network: Any, x: Samples, t: Samples) -> tuple[float, float]:
    """Return the mean loss without penalty and the share of samples that are classified correctly.

    The second is 0 unless the network is trained on the cross-entropy.
    """
    last = network.last_layer
    classes = isinstance(last, layers.SoftmaxWithLoss)
    loss, correct = 0.0, 0
    for begin in range(0, len(x), _TILE):
        scores, targets = network.predict(x[begin : begin + _TILE]), t[begin : begin + _TILE]
        loss += last.forward(scores, targets) * len(scores)
        correct += count_correct(scores, targets) if classes else 0
    return loss / len(x), correct / len(x)


def evaluate_averages(
    network: Any, averages: dict[str, Array], x_train: Samples, x: Samples, t: Samples
) -> tuple[float, float]:
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
        return evaluate(network, x, t)
    finally:
        with interrupts.held():
            weights.put(network)
