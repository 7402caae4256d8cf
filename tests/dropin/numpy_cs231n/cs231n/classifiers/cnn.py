import numpy as np

from ..fast_layers import *
from ..layer_utils import *
from ..layers import *


class ThreeLayerConvNet:
    def __init__(
        self, input_dim=(3, 32, 32), num_filters=32, filter_size=7, hidden_dim=100,
        num_classes=10, weight_scale=1e-3, reg=0.0, dtype=np.float32,
    ):  # fmt: skip
        self.params = {}
        self.reg = reg
        self.dtype = dtype
        C, H, W = input_dim
        flat = num_filters * (H // 2) * (W // 2)
        self.params["W1"] = weight_scale * np.random.randn(num_filters, C, filter_size, filter_size)
        self.params["b1"] = np.zeros(num_filters)
        self.params["W2"] = weight_scale * np.random.randn(flat, hidden_dim)
        self.params["b2"] = np.zeros(hidden_dim)
        self.params["W3"] = weight_scale * np.random.randn(hidden_dim, num_classes)
        self.params["b3"] = np.zeros(num_classes)
        for k, v in self.params.items():
            self.params[k] = v.astype(dtype)

    def loss(self, X, y=None):
        W1, b1 = self.params["W1"], self.params["b1"]
        W2, b2 = self.params["W2"], self.params["b2"]
        W3, b3 = self.params["W3"], self.params["b3"]
        conv_param = {"stride": 1, "pad": (W1.shape[2] - 1) // 2}
        pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
        pooled, cache1 = conv_relu_pool_forward(X, W1, b1, conv_param, pool_param)
        hidden, cache2 = affine_relu_forward(pooled, W2, b2)
        scores, cache3 = affine_forward(hidden, W3, b3)
        if y is None:
            return scores
        loss, dscores = softmax_loss(scores, y)
        loss += 0.5 * self.reg * (np.sum(W1**2) + np.sum(W2**2) + np.sum(W3**2))
        dhidden, dW3, db3 = affine_backward(dscores, cache3)
        dpooled, dW2, db2 = affine_relu_backward(dhidden, cache2)
        dx, dW1, db1 = conv_relu_pool_backward(dpooled, cache1)
        grads = {
            "W3": dW3 + self.reg * W3,
            "b3": db3,
            "W2": dW2 + self.reg * W2,
            "b2": db2,
            "W1": dW1 + self.reg * W1,
            "b1": db1,
        }
        return loss, grads
