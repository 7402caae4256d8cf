import os

import numpy as np

from ..layer_utils import *
from ..layers import *


class TwoLayerNet:
    def __init__(
        self, input_dim=3 * 32 * 32, hidden_dim=100, num_classes=10, weight_scale=1e-3, reg=0.0
    ):
        self.params = {}
        self.reg = reg
        self.params["W1"] = weight_scale * np.random.randn(input_dim, hidden_dim)
        self.params["b1"] = np.zeros(hidden_dim)
        self.params["W2"] = weight_scale * np.random.randn(hidden_dim, num_classes)
        self.params["b2"] = np.zeros(num_classes)

    def loss(self, X, y=None):
        W1, b1 = self.params["W1"], self.params["b1"]
        W2, b2 = self.params["W2"], self.params["b2"]
        hidden, cache1 = affine_relu_forward(X, W1, b1)
        scores, cache2 = affine_forward(hidden, W2, b2)
        if y is None:
            return scores
        loss, dscores = softmax_loss(scores, y)
        loss += 0.5 * self.reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
        dhidden, dW2, db2 = affine_backward(dscores, cache2)
        dx, dW1, db1 = affine_relu_backward(dhidden, cache1)
        return loss, {
            "W1": dW1 + self.reg * W1,
            "b1": db1,
            "W2": dW2 + self.reg * W2,
            "b2": db2,
        }

    def save(self, fname):
        np.save(os.path.join("cs231n/saved", fname), self.params)
        print(fname, "saved.")

    def load(self, fname):
        path = os.path.join("cs231n/saved", fname)
        if not os.path.exists(path):
            print(fname, "not available.")
            return False
        self.params = np.load(path, allow_pickle=True).item()
        print(fname, "loaded.")
        return True


class FullyConnectedNet:
    """As of 2021, with dropout_keep_ratio and normalization."""

    def __init__(
        self, hidden_dims, input_dim=3 * 32 * 32, num_classes=10, dropout_keep_ratio=1,
        normalization=None, reg=0.0, weight_scale=1e-2, dtype=np.float32, seed=None,
    ):  # fmt: skip
        self.normalization = normalization
        self.use_dropout = dropout_keep_ratio != 1
        self.reg = reg
        self.num_layers = 1 + len(hidden_dims)
        self.dtype = dtype
        self.params = {}
        sizes = [input_dim, *hidden_dims, num_classes]
        for i in range(1, self.num_layers + 1):
            W = weight_scale * np.random.randn(sizes[i - 1], sizes[i])
            self.params["W%d" % i] = W
            self.params["b%d" % i] = np.zeros(sizes[i])
            if normalization in ("batchnorm", "layernorm") and i < self.num_layers:
                self.params["gamma%d" % i] = np.ones(sizes[i])
                self.params["beta%d" % i] = np.zeros(sizes[i])
        self.dropout_param = {}
        if self.use_dropout:
            self.dropout_param = {"mode": "train", "p": dropout_keep_ratio}
            if seed is not None:
                self.dropout_param["seed"] = seed
        self.bn_params = []
        if self.normalization == "batchnorm":
            self.bn_params = [{"mode": "train"} for i in range(self.num_layers - 1)]
        if self.normalization == "layernorm":
            self.bn_params = [{} for i in range(self.num_layers - 1)]
        for k, v in self.params.items():
            self.params[k] = v.astype(dtype)

    def loss(self, X, y=None):
        X = X.astype(self.dtype)
        mode = "test" if y is None else "train"
        if self.use_dropout:
            self.dropout_param["mode"] = mode
        if self.normalization == "batchnorm":
            for bn_param in self.bn_params:
                bn_param["mode"] = mode
        out, caches = X, {}
        last = self.num_layers
        for i in range(1, last):
            W, b = self.params["W%d" % i], self.params["b%d" % i]
            out, caches["affine", i] = affine_forward(out, W, b)
            if self.normalization is not None:
                gamma, beta = self.params["gamma%d" % i], self.params["beta%d" % i]
                bn_param = self.bn_params[i - 1]
                norm = batchnorm_forward
                if self.normalization == "layernorm":
                    norm = layernorm_forward
                out, caches["norm", i] = norm(out, gamma, beta, bn_param)
            out, caches["relu", i] = relu_forward(out)
            if self.use_dropout:
                out, caches["dropout", i] = dropout_forward(out, self.dropout_param)
        W, b = self.params["W%d" % last], self.params["b%d" % last]
        scores, caches["affine", last] = affine_forward(out, W, b)
        if mode == "test":
            return scores
        loss, dout = softmax_loss(scores, y)
        grads = {}
        for i in range(last, 0, -1):
            if i < last:
                if self.use_dropout:
                    dout = dropout_backward(dout, caches["dropout", i])
                dout = relu_backward(dout, caches["relu", i])
                if self.normalization is not None:
                    norm = batchnorm_backward
                    if self.normalization == "layernorm":
                        norm = layernorm_backward
                    dout, dgamma, dbeta = norm(dout, caches["norm", i])
                    grads["gamma%d" % i], grads["beta%d" % i] = dgamma, dbeta
            dout, dW, db = affine_backward(dout, caches["affine", i])
            W = self.params["W%d" % i]
            loss += 0.5 * self.reg * np.sum(W * W)
            grads["W%d" % i], grads["b%d" % i] = dW + self.reg * W, db
        return loss, grads
