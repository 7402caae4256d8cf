"""``cs231n.classifiers.cnn``: a convolutional network."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._utils.reprs import of_settings
from fastnn.dropin.cs231n import layer_utils
from fastnn.dropin.cs231n._affine import (
    affine_backward,
    affine_forward,
    affine_relu_backward,
    affine_relu_forward,
)
from fastnn.dropin.cs231n.layer_utils import *  # noqa: F403 (scripts find these here, too)
from fastnn.dropin.cs231n.layer_utils import conv_relu_pool_forward, conv_relu_pool_gradients
from fastnn.dropin.cs231n.layers import softmax_loss

__all__ = [*layer_utils.__all__, "ThreeLayerConvNet"]


class ThreeLayerConvNet:
    """Convolution - ReLU - 2x2 max pooling - affine - ReLU - affine - softmax.

    Attributes
    ----------
    params : dict
        W1 (num_filters, C, filter_size, filter_size), W2 and W3, at first normally distributed
        with standard deviation weight_scale; b1, b2 and b3, at first zero.
    reg : float
    dtype : dtype
        That of the parameters at first.
    """

    def __init__(
        self,
        input_dim: tuple[int, int, int] = (3, 32, 32),
        num_filters: int = 32,
        filter_size: int = 7,
        hidden_dim: int = 100,
        num_classes: int = 10,
        weight_scale: Any = 1e-3,
        reg: Any = 0.0,
        dtype: Any = np.float32,
    ) -> None:
        self.reg, self.dtype = reg, dtype
        C, H, W = input_dim
        shapes = {
            "1": (num_filters, C, filter_size, filter_size),
            "2": (num_filters * (H // 2) * (W // 2), hidden_dim),
            "3": (hidden_dim, num_classes),
        }
        self.params: dict[str, Any] = {}
        for layer, shape in shapes.items():
            units = num_filters if layer == "1" else shape[1]
            self.params[f"W{layer}"] = (weight_scale * np.random.randn(*shape)).astype(dtype)
            self.params[f"b{layer}"] = np.zeros(units, dtype)

    def __repr__(self) -> str:
        return of_settings(self)

    def loss(self, X: Any, y: Any = None) -> Any:
        """Return the scores of images X (N, C, H, W), or with labels y the loss and gradients.

        The loss includes half of reg times the sums of the squared weights.
        """
        W1, b1, W2, b2, W3, b3 = (self.params[n] for n in ("W1", "b1", "W2", "b2", "W3", "b3"))
        conv_param = {"stride": 1, "pad": (W1.shape[2] - 1) // 2}
        pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
        out, cache1 = conv_relu_pool_forward(X, W1, b1, conv_param, pool_param)
        out, cache2 = affine_relu_forward(out, W2, b2)
        scores, cache3 = affine_forward(out, W3, b3)
        if y is None:
            return scores
        loss, dout = softmax_loss(scores, y)
        grads = {}
        dout, grads["W3"], grads["b3"] = affine_backward(dout, cache3)
        dout, grads["W2"], grads["b2"] = affine_relu_backward(dout, cache2)
        _, grads["W1"], grads["b1"] = conv_relu_pool_gradients(dout, cache1, input_gradient=False)
        for name in ("W1", "W2", "W3") if self.reg else ():
            loss += 0.5 * self.reg * np.sum(self.params[name] ** 2)
            grads[name] += self.reg * self.params[name]
        return loss, grads
