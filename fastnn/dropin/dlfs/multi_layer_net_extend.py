"""``common.multi_layer_net_extend``: networks with batch normalisation and dropout."""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from typing import Any

import numpy as np

from fastnn.dropin.dlfs import layers, multi_layer_net
from fastnn.dropin.dlfs.gradient import numerical_gradient
from fastnn.dropin.dlfs.layers import *  # noqa: F403 (scripts find these here, too)

__all__ = [
    *layers.__all__,
    "MultiLayerNetExtend",
    "OrderedDict",
    "np",
    "numerical_gradient",
    "os",
    "sys",
]


class MultiLayerNetExtend(multi_layer_net.MultiLayerNet):
    """Affine, [batch normalisation], activation, [dropout] for each hidden layer.

    Attributes are those of ``MultiLayerNet``, with gamma1, beta1, ... in `params`, BatchNorm1 and
    Dropout1, ... in `layers`, and `use_dropout` and `use_batchnorm`.
    """

    def __init__(
        self,
        input_size: Any,
        hidden_size_list: Any,
        output_size: Any,
        activation: Any = "relu",
        weight_init_std: Any = "relu",
        weight_decay_lambda: Any = 0,
        use_dropout: Any = False,
        dropout_ration: Any = 0.5,
        use_batchnorm: Any = False,
    ) -> None:
        self.use_dropout = use_dropout
        self.use_batchnorm = use_batchnorm
        self._dropout_ratio = dropout_ration
        super().__init__(
            input_size,
            hidden_size_list,
            output_size,
            activation,
            weight_init_std,
            weight_decay_lambda,
        )

    def _global(self, name: str) -> Any:
        return globals()[name]

    def _add_hidden(self, i: int, activation: Any) -> None:
        if self.use_batchnorm:
            size = self.hidden_size_list[i - 1]
            gamma = self.params[f"gamma{i}"] = np.ones(size)
            beta = self.params[f"beta{i}"] = np.zeros(size)
            self.layers[f"BatchNorm{i}"] = self._global("BatchNormalization")(gamma, beta)
        super()._add_hidden(i, activation)
        if self.use_dropout:
            self.layers[f"Dropout{i}"] = self._global("Dropout")(self._dropout_ratio)

    def predict(self, x: Any, train_flg: Any = False) -> Any:
        """Return the scores before softmax."""
        return self._predict(x, bool(train_flg))

    def _tells_mode(self, name: str) -> bool:
        return "Dropout" in name or "BatchNorm" in name

    def _predict_by_layers(self, x: Any, train_flg: bool) -> Any:
        for key, layer in self.layers.items():
            x = layer.forward(x, train_flg) if self._tells_mode(key) else layer.forward(x)
        return x

    def loss(self, x: Any, t: Any, train_flg: Any = False) -> Any:
        """Return the mean loss and the penalty."""
        return self._loss(self.predict(x, train_flg), t)

    def accuracy(self, X: Any, T: Any) -> Any:
        """Return the share of samples whose largest score is the target's."""
        return super().accuracy(X, T)

    def numerical_gradient(self, X: Any, T: Any) -> dict[str, Any]:
        """Return the gradients of the training loss by centred differences."""

        def loss(_: Any) -> Any:
            return self.loss(X, T, train_flg=True)

        return self._numerical_gradients(loss)

    def gradient(self, x: Any, t: Any) -> dict[str, Any]:
        """Return the gradients of the training loss by backpropagation."""
        found = self._gradients_at_once(x, t)
        if found is None:
            self.loss(x, t, train_flg=True)
            self._backward()
        return self._gradients(found)

    def _keys(self) -> list[tuple[str, str, str]]:
        keys = super()._keys()
        if self.use_batchnorm:
            for i in range(self.hidden_layer_num, 0, -1):
                norms = [(f"{p}{i}", f"BatchNorm{i}", p) for p in ("gamma", "beta")]
                keys[2 * i : 2 * i] = norms
        return keys

    def _decayed(self, key: str, layer: str) -> Any:
        return self.params[key]  # which may not be the layer's array
