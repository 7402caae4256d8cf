"""``common.multi_layer_net``: fully connected networks."""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from typing import Any

import numpy as np

from fastnn._utils.reprs import of_settings
from fastnn.dropin.dlfs import layers
from fastnn.dropin.dlfs._compiled import CompiledLayers, Found
from fastnn.dropin.dlfs._usual import usual, writable
from fastnn.dropin.dlfs.gradient import numerical_gradient
from fastnn.dropin.dlfs.layers import *  # noqa: F403 (scripts find these here, too)
from fastnn.layers.planning import Unsupported
from fastnn.ops._dispatch import compiled

__all__ = [
    *layers.__all__,
    "MultiLayerNet",
    "OrderedDict",
    "np",
    "numerical_gradient",
    "os",
    "sys",
]

# Where the methods that compiled calls stand for are defined.
_MODULES = (__name__, f"{__name__}_extend")

# As they are here: scripts may put others in their place.
_Softmax = layers.SoftmaxWithLoss
_FORWARD, _BACKWARD = _Softmax.forward, _Softmax.backward

_ACTIVATIONS = {"sigmoid": "Sigmoid", "relu": "Relu"}


class MultiLayerNet:
    """Affine layers with activations between them, softmax and cross-entropy at the end.

    Attributes
    ----------
    params : dict of str to ndarray
        W1, b1, W2, ...; the layers hold the same arrays.
    layers : OrderedDict of str to layer
        Affine1, Activation_function1, Affine2, ...
    last_layer : SoftmaxWithLoss
    input_size, output_size, hidden_size_list, hidden_layer_num, weight_decay_lambda
    """

    def __init__(
        self,
        input_size: Any,
        hidden_size_list: Any,
        output_size: Any,
        activation: Any = "relu",
        weight_init_std: Any = "relu",
        weight_decay_lambda: Any = 0,
    ) -> None:
        self.input_size = input_size
        self.output_size = output_size
        self.hidden_size_list = hidden_size_list
        self.hidden_layer_num = len(hidden_size_list)
        self.weight_decay_lambda = weight_decay_lambda
        self.params: dict[str, Any] = {}
        self._init_weights(weight_init_std)
        self.layers: OrderedDict[str, Any] = OrderedDict()
        for i in range(1, self.hidden_layer_num + 1):
            self._add_affine(i)
            self._add_hidden(i, activation)
        self._add_affine(self.hidden_layer_num + 1)
        self.last_layer: Any = self._global("SoftmaxWithLoss")()

    def __repr__(self) -> str:
        return of_settings(self)

    def _global(self, name: str) -> Any:
        """Return what a name means in the module of this class, where scripts may set it."""
        return globals()[name]

    def _init_weights(self, weight_init_std: Any) -> None:
        """Draw weights from NumPy's global generator, in the order of the layers."""
        sizes = [self.input_size, *self.hidden_size_list, self.output_size]
        rule = str(weight_init_std).lower()
        for i in range(1, len(sizes)):
            scale = weight_init_std
            if rule in ("relu", "he"):
                scale = np.sqrt(2.0 / sizes[i - 1])
            elif rule in ("sigmoid", "xavier"):
                scale = np.sqrt(1.0 / sizes[i - 1])
            self.params[f"W{i}"] = scale * np.random.randn(sizes[i - 1], sizes[i])  # noqa: NPY002
            self.params[f"b{i}"] = np.zeros(sizes[i])

    def _add_affine(self, i: int) -> None:
        affine = self._global("Affine")
        self.layers[f"Affine{i}"] = affine(self.params[f"W{i}"], self.params[f"b{i}"])

    def _add_hidden(self, i: int, activation: Any) -> None:
        self.layers[f"Activation_function{i}"] = self._global(_ACTIVATIONS[activation])()

    def predict(self, x: Any) -> Any:
        """Return the scores before softmax."""
        return self._predict(x, False)

    def _predict(self, x: Any, train_flg: bool) -> Any:
        layers_ = self._compiled_layers()
        scores = None if layers_ is None else layers_.forward(x, train_flg)
        return self._predict_by_layers(x, train_flg) if scores is None else scores

    def _predict_by_layers(self, x: Any, train_flg: bool) -> Any:
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def _tells_mode(self, name: str) -> bool:
        """Say whether the layer of this name is given the flag of training."""
        return False

    def _compiled_layers(self) -> CompiledLayers | None:
        """Return the layers as one compiled call takes them, or None if they are not for it."""
        known: CompiledLayers | None = vars(self).get("_compiled")
        if compiled() and (known is None or not known.are(self.layers)):
            try:
                known = CompiledLayers(self.layers, self._tells_mode)
            except (Unsupported, TypeError, ValueError, AttributeError):
                known = None
            self._compiled = known
        return known if compiled() else None

    def __getstate__(self) -> dict[str, Any]:
        state = {key: value for key, value in vars(self).items() if key != "_compiled"}
        keys = {id(p): key for key, p in state.get("params", {}).items()}
        shared = [
            (keys[id(value)], layer, name)
            for layer, holder in state.get("layers", {}).items()
            for name, value in getattr(holder, "__dict__", {}).items()
            if id(value) in keys
        ]
        return {**state, "_shared": shared}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        # Copies of joblib have two arrays where the original had one, and those of mapped files.
        params = vars(self).get("params", {})
        params.update({key: writable(p) for key, p in params.items()})
        for key, layer, name in vars(self).pop("_shared", ()):
            setattr(self.layers[layer], name, params[key])

    def loss(self, x: Any, t: Any) -> Any:
        """Return the mean loss and the penalty, lambda / 2 times the sum of squared weights."""
        return self._loss(self.predict(x), t)

    def _loss(self, y: Any, t: Any) -> Any:
        return self.last_layer.forward(y, t) + self._penalty()

    def _penalty(self) -> Any:
        decay = self.weight_decay_lambda
        if not decay:
            return 0.0
        weights = (self.params[f"W{i}"] for i in range(1, self.hidden_layer_num + 2))
        return sum(0.5 * decay * _sum_of_squares(W) for W in weights)

    def accuracy(self, x: Any, t: Any) -> Any:
        """Return the share of samples whose largest score is the target's."""
        y = np.argmax(self.predict(x), axis=1)
        if t.ndim != 1:
            t = np.argmax(t, axis=1)
        return np.sum(y == t) / float(x.shape[0])

    def numerical_gradient(self, x: Any, t: Any) -> dict[str, Any]:
        """Return the gradients of the loss by centred differences."""

        def loss(_: Any) -> Any:
            return self.loss(x, t)

        return self._numerical_gradients(loss)

    def _numerical_gradients(self, loss: Any) -> dict[str, Any]:
        gradient = self._global("numerical_gradient")
        return {key: gradient(loss, self.params[key]) for key, _, _ in self._keys()}

    def _keys(self) -> list[tuple[str, str, str]]:
        """Return keys of gradients in their order, and whose they are: of a layer, and which."""
        numbers = range(1, self.hidden_layer_num + 2)
        return [(f"{p}{i}", f"Affine{i}", p) for i in numbers for p in ("W", "b")]

    def gradient(self, x: Any, t: Any) -> dict[str, Any]:
        """Return the gradients of the loss by backpropagation."""
        found = self._gradients_at_once(x, t)
        if found is None:
            self.loss(x, t)
            self._backward()
        return self._gradients(found)

    def _gradients_at_once(self, x: Any, t: Any) -> Found | None:
        """Return gradients from one compiled call, if it can do what the methods do."""
        own = {"predict", "loss"} & vars(self).keys() or any(
            getattr(type(self), name).__module__ not in _MODULES for name in ("predict", "loss")
        )
        known = self._compiled_layers()
        if own or known is None or not _is_softmax(self.last_layer):
            return None
        return known.gradients(x, t, self.last_layer)

    def _backward(self) -> None:
        dout = self.last_layer.backward(1)
        for layer in reversed(list(self.layers.values())):
            dout = layer.backward(dout)

    def _gradients(self, found: Found | None) -> dict[str, Any]:
        """Return gradients by their keys, from what was found or from the layers."""
        grads, decay = {}, self.weight_decay_lambda
        for key, layer, p in self._keys():
            if found is None:
                grads[key] = getattr(self.layers[layer], f"d{p}")
            else:
                grads[key] = found[layer, p]
            if p == "W" and (found is None or decay):
                grads[key] = grads[key] + decay * self._decayed(key, layer)
        return grads

    def _decayed(self, key: str, layer: str) -> Any:
        return self.layers[layer].W


def _is_softmax(layer: Any) -> bool:
    """Say whether a layer is softmax with cross-entropy, with the methods that it has here."""
    kind = type(layer)
    if kind is not _Softmax and not isinstance(layer, _Softmax):
        return False
    if kind.forward is not _FORWARD or kind.backward is not _BACKWARD:
        return False
    return not ("forward" in layer.__dict__ or "backward" in layer.__dict__)


def _sum_of_squares(W: Any) -> Any:
    # In one pass; not by a product, whose threads would meet ours.
    return np.einsum("ij,ij", W, W) if usual(W) and W.ndim == 2 else np.sum(W**2)
