"""``cs231n.classifiers.fc_net``: fully connected networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn._utils.reprs import of_settings
from fastnn.dropin.cs231n import layer_utils, layers
from fastnn.dropin.cs231n._affine import (
    affine_backward,
    affine_forward,
    affine_gradients,
    affine_relu_forward,
    affine_relu_gradients,
)
from fastnn.dropin.cs231n._norms import batchnorm_relu_backward, batchnorm_relu_forward
from fastnn.dropin.cs231n.classifiers import _saved
from fastnn.dropin.cs231n.layer_utils import *  # noqa: F403 (scripts find these here, too)
from fastnn.dropin.cs231n.layers import (
    layernorm_backward,
    layernorm_forward,
    relu_backward,
    relu_forward,
    softmax_loss,
)

__all__ = [*layer_utils.__all__, "FullyConnectedNet", "TwoLayerNet"]


def _layernorm_relu_forward(
    x: Any, gamma: Any, beta: Any, ln_param: dict[str, Any]
) -> tuple[Any, Any]:
    out, cache = layernorm_forward(x, gamma, beta, ln_param)
    return relu_forward(out)[0], (cache, out)


def _layernorm_relu_backward(dout: Any, caches: Any) -> tuple[Any, Any, Any]:
    cache, out = caches
    return layernorm_backward(relu_backward(dout, out), cache)


_NORMS = {
    "batchnorm": (batchnorm_relu_forward, batchnorm_relu_backward),
    "layernorm": (_layernorm_relu_forward, _layernorm_relu_backward),
}


class _Network:
    """What the networks have in common."""

    params: dict[str, Any]
    reg: Any

    def __repr__(self) -> str:
        return of_settings(self)

    def _add_penalty(self, loss: Any, grads: dict[str, Any], layers: Sequence[int]) -> Any:
        """Return the loss with half of reg times the squared weights; add to their gradients."""
        for i in layers if self.reg else ():
            W = self.params[f"W{i}"]
            loss += 0.5 * self.reg * np.sum(W * W)
            grads[f"W{i}"] += self.reg * W
        return loss

    def save(self, fname: str) -> None:
        """Write the parameters to a file in ``cs231n/saved``."""
        _saved.save(fname, self.params)

    def load(self, fname: str) -> bool:
        """Read the parameters from a file in ``cs231n/saved``; say whether there was one."""
        params = _saved.load(fname)
        if params is not None:
            self.params = params
        return params is not None


class TwoLayerNet(_Network):
    """Affine - ReLU - affine - softmax.

    Attributes
    ----------
    params : dict
        W1 (input_dim, hidden_dim) and W2 (hidden_dim, num_classes), at first normally
        distributed with standard deviation weight_scale; b1 and b2, at first zero.
    reg : float
    """

    def __init__(
        self,
        input_dim: int = 3 * 32 * 32,
        hidden_dim: int = 100,
        num_classes: int = 10,
        weight_scale: Any = 1e-3,
        reg: Any = 0.0,
    ) -> None:
        self.params = {}
        self.reg = reg
        self.params["W1"] = weight_scale * np.random.randn(input_dim, hidden_dim)
        self.params["b1"] = np.zeros(hidden_dim)
        self.params["W2"] = weight_scale * np.random.randn(hidden_dim, num_classes)
        self.params["b2"] = np.zeros(num_classes)

    def loss(self, X: Any, y: Any = None) -> Any:
        """Return the scores of X (N, ...), or with labels y the loss and a dict of gradients.

        The loss includes half of reg times the sums of the squared weights.
        """
        W1, b1, W2, b2 = (self.params[name] for name in ("W1", "b1", "W2", "b2"))
        hidden, hidden_cache = affine_relu_forward(X, W1, b1)
        scores, cache = affine_forward(hidden, W2, b2)
        if y is None:
            return scores
        loss, dout = softmax_loss(scores, y)
        grads: dict[str, Any] = {}
        dout, grads["W2"], grads["b2"] = affine_backward(dout, cache)
        _, grads["W1"], grads["b1"] = affine_relu_gradients(
            dout, hidden_cache, input_gradient=False
        )
        return self._add_penalty(loss, grads, (1, 2)), grads


class FullyConnectedNet(_Network):
    """(Affine - [normalisation] - ReLU - [dropout]) for each hidden layer - affine - softmax.

    The course has renamed arguments. Dropout is dropout_keep_ratio since 2021, and was dropout
    before: what :func:`dropout_forward` gets as its p, but for 0 and 1, with which nothing is
    dropped. (The texts of 2016 and 2017 call p the probability of dropping, most solutions of
    those years keep with it. If a script's own ``cs231n/layers.py`` drops with p, its function is
    the one that is called.) Normalisation is None, "batchnorm" or "layernorm"; it was
    use_batchnorm, False or True, in the same place.

    Attributes
    ----------
    params : dict
        W1, b1, ..., W1 being (input_dim, hidden_dims[0]), at first normally distributed with
        standard deviation weight_scale, and zero; with normalisation gamma1, beta1, ... of the
        hidden layers, at first one and zero.
    num_layers : int
    use_dropout : bool
    normalization : str or None
    use_batchnorm : bool
    reg : float
    dtype : dtype
        Of the parameters, and what inputs are converted to.
    dropout_param : dict
        What :func:`dropout_forward` gets, with a seed if one is given.
    bn_params : list of dict
        What :func:`batchnorm_forward` or :func:`layernorm_forward` gets, for each hidden layer.
    """

    def __init__(
        self,
        hidden_dims: Sequence[int],
        input_dim: int = 3 * 32 * 32,
        num_classes: int = 10,
        dropout_keep_ratio: Any = 1,
        normalization: Any = None,
        reg: Any = 0.0,
        weight_scale: Any = 1e-2,
        dtype: Any = np.float32,
        seed: int | None = None,
        *,
        dropout: Any = None,
        use_batchnorm: bool | None = None,
    ) -> None:
        if isinstance(normalization, bool):
            use_batchnorm, normalization = normalization, None
        if use_batchnorm:
            normalization = "batchnorm"
        if dropout is None:
            dropout = dropout_keep_ratio
        # Whatever the number means, 0 and 1 cannot be for dropping everything.
        none = dropout in (0, 1)
        self.normalization = normalization
        self.use_batchnorm = normalization == "batchnorm"
        self.use_dropout = not none
        self.reg = reg
        self.num_layers = 1 + len(hidden_dims)
        self.dtype = dtype
        self.params = {}
        sizes = [input_dim, *hidden_dims, num_classes]
        for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:]), 1):  # noqa: B905, RUF007
            self.params[f"W{i}"] = (weight_scale * np.random.randn(inputs, outputs)).astype(dtype)
            self.params[f"b{i}"] = np.zeros(outputs, dtype)
            if normalization in _NORMS and i < self.num_layers:
                self.params[f"gamma{i}"] = np.ones(outputs, dtype)
                self.params[f"beta{i}"] = np.zeros(outputs, dtype)
        self.dropout_param: dict[str, Any] = {}
        if self.use_dropout:
            self.dropout_param = {"mode": "train", "p": dropout}
            if seed is not None:
                self.dropout_param["seed"] = seed
        self.bn_params: list[dict[str, Any]] = []
        if normalization in _NORMS:
            param = {"mode": "train"} if self.use_batchnorm else {}
            self.bn_params = [dict(param) for _ in hidden_dims]

    def loss(self, X: Any, y: Any = None) -> Any:
        """Return the scores of X (N, ...), or with labels y the loss and a dict of gradients.

        Without labels the modes of normalisation and dropout are "test", else "train". The loss
        includes half of reg times the sums of the squared weights.
        """
        mode = "test" if y is None else "train"
        if self.use_dropout:
            self.dropout_param["mode"] = mode
        if self.use_batchnorm:
            for bn_param in self.bn_params:
                bn_param["mode"] = mode
        out, caches, last = X.astype(self.dtype), [], self.num_layers
        for i in range(1, last):
            out, cache = self._hidden_forward(i, out)
            caches.append(cache)
        scores, cache = affine_forward(out, self.params[f"W{last}"], self.params[f"b{last}"])
        if y is None:
            return scores
        loss, dout = softmax_loss(scores, y)
        grads: dict[str, Any] = {}
        dout, grads[f"W{last}"], grads[f"b{last}"] = affine_gradients(dout, cache, last > 1)
        for i in range(last - 1, 0, -1):
            dout = self._hidden_backward(i, dout, caches[i - 1], grads)
        return self._add_penalty(loss, grads, range(1, last + 1)), grads

    def _hidden_forward(self, i: int, x: Any) -> tuple[Any, Any]:
        """Return the output of a hidden layer and its cache."""
        W, b = self.params[f"W{i}"], self.params[f"b{i}"]
        norm_cache = dropout_cache = None
        if self.normalization in _NORMS:
            forward, _ = _NORMS[self.normalization]
            out, cache = affine_forward(x, W, b)
            gamma, beta = self.params[f"gamma{i}"], self.params[f"beta{i}"]
            out, norm_cache = forward(out, gamma, beta, self.bn_params[i - 1])
        else:
            out, cache = affine_relu_forward(x, W, b)
        if self.use_dropout:
            out, dropout_cache = layers.dropout_forward(out, self.dropout_param)
        return out, (cache, norm_cache, dropout_cache)

    def _hidden_backward(self, i: int, dout: Any, caches: Any, grads: dict[str, Any]) -> Any:
        """Put a hidden layer's gradients into the dict, and return its input's."""
        cache, norm_cache, dropout_cache = caches
        if self.use_dropout:
            dout = layers.dropout_backward(dout, dropout_cache)
        if self.normalization in _NORMS:
            _, backward = _NORMS[self.normalization]
            dout, grads[f"gamma{i}"], grads[f"beta{i}"] = backward(dout, norm_cache)
            gradients = affine_gradients
        else:
            gradients = affine_relu_gradients
        dx, grads[f"W{i}"], grads[f"b{i}"] = gradients(dout, cache, i > 1)
        return dx
