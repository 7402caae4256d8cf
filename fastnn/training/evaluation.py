"""Loss and accuracy of a network on samples that it is not trained on."""

from __future__ import annotations

from typing import Any

from fastnn import layers
from fastnn._utils.types import Samples
from fastnn.ops._targets import count_correct

_TILE = 1 << 14  # samples that are evaluated at a time


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
