import os
import sys
from collections import OrderedDict

import numpy as np

from common.gradient import numerical_gradient
from common.layers import *


class MultiLayerNetExtend:
    def __init__(
        self,
        input_size,
        hidden_size_list,
        output_size,
        activation="relu",
        weight_init_std="relu",
        weight_decay_lambda=0,
        use_dropout=False,
        dropout_ration=0.5,
        use_batchnorm=False,
    ):
        self.input_size = input_size
        self.output_size = output_size
        self.hidden_size_list = hidden_size_list
        self.hidden_layer_num = len(hidden_size_list)
        self.use_dropout = use_dropout
        self.weight_decay_lambda = weight_decay_lambda
        self.use_batchnorm = use_batchnorm
        self.params = {}
        self.__init_weight(weight_init_std)

        kinds = {"sigmoid": Sigmoid, "relu": Relu}
        self.layers = OrderedDict()
        for i, size in enumerate(hidden_size_list, 1):
            self.layers[f"Affine{i}"] = Affine(self.params[f"W{i}"], self.params[f"b{i}"])
            if use_batchnorm:
                gamma = self.params[f"gamma{i}"] = np.ones(size)
                beta = self.params[f"beta{i}"] = np.zeros(size)
                self.layers[f"BatchNorm{i}"] = BatchNormalization(gamma, beta)
            self.layers[f"Activation_function{i}"] = kinds[activation]()
            if use_dropout:
                self.layers[f"Dropout{i}"] = Dropout(dropout_ration)
        i = self.hidden_layer_num + 1
        self.layers[f"Affine{i}"] = Affine(self.params[f"W{i}"], self.params[f"b{i}"])
        self.last_layer = SoftmaxWithLoss()

    def __init_weight(self, weight_init_std):
        sizes = [self.input_size, *self.hidden_size_list, self.output_size]
        for i in range(1, len(sizes)):
            scale = weight_init_std
            if str(weight_init_std).lower() in ("relu", "he"):
                scale = np.sqrt(2.0 / sizes[i - 1])
            elif str(weight_init_std).lower() in ("sigmoid", "xavier"):
                scale = np.sqrt(1.0 / sizes[i - 1])
            self.params[f"W{i}"] = scale * np.random.randn(sizes[i - 1], sizes[i])
            self.params[f"b{i}"] = np.zeros(sizes[i])

    def predict(self, x, train_flg=False):
        for name, layer in self.layers.items():
            # By its name, not its class, a layer is given the flag.
            if "Dropout" in name or "BatchNorm" in name:
                x = layer.forward(x, train_flg)
            else:
                x = layer.forward(x)
        return x

    def loss(self, x, t, train_flg=False):
        y = self.predict(x, train_flg)
        decay = 0
        for i in range(1, self.hidden_layer_num + 2):
            decay += 0.5 * self.weight_decay_lambda * np.sum(self.params[f"W{i}"] ** 2)
        return self.last_layer.forward(y, t) + decay

    def accuracy(self, X, T):
        y = np.argmax(self.predict(X, train_flg=False), axis=1)
        if T.ndim != 1:
            T = np.argmax(T, axis=1)
        return np.sum(y == T) / float(X.shape[0])

    def __names(self):
        """Yield the keys of the parameters, with the number of each."""
        for i in range(1, self.hidden_layer_num + 2):
            yield f"W{i}", i
            yield f"b{i}", i
            if self.use_batchnorm and i <= self.hidden_layer_num:
                yield f"gamma{i}", i
                yield f"beta{i}", i

    def numerical_gradient(self, X, T):
        def loss(_):
            return self.loss(X, T, train_flg=True)

        return {name: numerical_gradient(loss, self.params[name]) for name, _ in self.__names()}

    def gradient(self, x, t):
        self.loss(x, t, train_flg=True)
        dout = self.last_layer.backward(1)
        for layer in reversed(list(self.layers.values())):
            dout = layer.backward(dout)

        grads = {}
        for name, i in self.__names():
            if name.startswith("W"):
                decay = self.weight_decay_lambda * self.params[name]
                grads[name] = self.layers[f"Affine{i}"].dW + decay
            elif name.startswith("b") and not name.startswith("beta"):
                grads[name] = self.layers[f"Affine{i}"].db
            elif name.startswith("gamma"):
                grads[name] = self.layers[f"BatchNorm{i}"].dgamma
            else:
                grads[name] = self.layers[f"BatchNorm{i}"].dbeta
        return grads
