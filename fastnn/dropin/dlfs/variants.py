"""What the book's repositories had at other times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn.dropin.dlfs import (
    convolution,
    functions,
    gradient,
    layers,
    multi_layer_net,
    multi_layer_net_extend,
)

__all__ = [
    "MultiLayerNet",
    "MultiLayerNetExtend",
    "Pooling",
    "SoftmaxWithLoss",
    "cross_entropy_error",
    "numerical_gradient",
    "softmax_loss",
]


class Pooling(convolution.Pooling):
    """The largest element of each window, with a stride of 1 if none is given."""

    def __init__(self, pool_h: Any, pool_w: Any, stride: Any = 1, pad: Any = 0) -> None:
        super().__init__(pool_h, pool_w, stride, pad)


def cross_entropy_error(y: Any, t: Any) -> Any:
    """Return the mean of -log(y) at the labels, infinite where a probability is 0."""
    return functions.cross_entropy(y, t, 0)


def softmax_loss(X: Any, t: Any) -> Any:
    """Return that cross-entropy of softmax(X)."""
    return cross_entropy_error(functions.softmax(X), t)


class SoftmaxWithLoss(layers.SoftmaxWithLoss):
    """Softmax and that cross-entropy, averaged over the batch."""

    def _error(self, y: Any, t: Any) -> Any:
        return cross_entropy_error(y, t)


class MultiLayerNet(multi_layer_net.MultiLayerNet):
    """The book's network, with that loss."""

    def _global(self, name: str) -> Any:
        return SoftmaxWithLoss if name == "SoftmaxWithLoss" else super()._global(name)


class MultiLayerNetExtend(multi_layer_net_extend.MultiLayerNetExtend):
    """The book's network with batch normalisation and dropout, with that loss."""

    def _global(self, name: str) -> Any:
        return SoftmaxWithLoss if name == "SoftmaxWithLoss" else super()._global(name)


def numerical_gradient(f: Callable[[Any], Any], x: Any) -> Any:
    """Return the gradient of f at x, with steps in the dtype of x."""
    return gradient.gradient_of_elements(f, x, _itself)


def _itself(number: Any) -> Any:
    return number
