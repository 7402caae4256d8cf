"""``cs231n.classifiers.neural_net``: the two-layer network of assignment 1 until 2020."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._utils.reprs import of_settings
from fastnn.dropin.cs231n._affine import (
    affine_backward,
    affine_forward,
    affine_relu_forward,
    affine_relu_gradients,
)
from fastnn.dropin.cs231n.layers import softmax_loss
from fastnn.dropin.cs231n.optim import sgd

__all__ = ["TwoLayerNet", "np"]


class TwoLayerNet:
    """Affine - ReLU - affine - softmax.

    Attributes
    ----------
    params : dict
        W1 (input_size, hidden_size) and W2 (hidden_size, output_size), at first normally
        distributed with standard deviation std; b1 and b2, at first zero.
    """

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int, std: Any = 1e-4
    ) -> None:
        self.params: dict[str, Any] = {}
        self.params["W1"] = std * np.random.randn(input_size, hidden_size)
        self.params["b1"] = np.zeros(hidden_size)
        self.params["W2"] = std * np.random.randn(hidden_size, output_size)
        self.params["b2"] = np.zeros(output_size)

    def __repr__(self) -> str:
        return of_settings(self)

    def loss(self, X: Any, y: Any = None, reg: Any = 0.0) -> Any:
        """Return the scores of X (N, D), or with labels y the loss and a dict of gradients.

        The loss includes reg (sum(W1^2) + sum(W2^2)).
        """
        _, _ = X.shape
        W1, b1, W2, b2 = (self.params[name] for name in ("W1", "b1", "W2", "b2"))
        hidden, hidden_cache = affine_relu_forward(X, W1, b1)
        scores, cache = affine_forward(hidden, W2, b2)
        if y is None:
            return scores
        loss, dscores = softmax_loss(scores, y)
        loss += reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
        dhidden, dW2, db2 = affine_backward(dscores, cache)
        _, dW1, db1 = affine_relu_gradients(dhidden, hidden_cache, input_gradient=False)
        dW1 += 2 * reg * W1
        dW2 += 2 * reg * W2
        return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}

    def train(
        self,
        X: Any,
        y: Any,
        X_val: Any,
        y_val: Any,
        learning_rate: Any = 1e-3,
        learning_rate_decay: Any = 0.95,
        reg: Any = 5e-6,
        num_iters: int = 100,
        batch_size: int = 200,
        verbose: bool = False,
    ) -> dict[str, list[Any]]:
        """Train by gradient descent on random batches.

        Returns the histories of loss, of accuracy on batches and of accuracy on the validation
        data, the last two after each epoch, when the learning rate decays.
        """
        num_train = X.shape[0]
        iterations_per_epoch = max(num_train / batch_size, 1)
        history: dict[str, list[Any]] = {
            "loss_history": [],
            "train_acc_history": [],
            "val_acc_history": [],
        }
        for it in range(num_iters):
            batch = np.random.choice(num_train, batch_size)
            X_batch, y_batch = X[batch], y[batch]
            loss, grads = self.loss(X_batch, y=y_batch, reg=reg)
            history["loss_history"].append(loss)
            for name, w in self.params.items():
                sgd(w, grads[name], {"learning_rate": learning_rate})
            if verbose and it % 100 == 0:
                print(f"iteration {it} / {num_iters}: loss {loss:f}")
            if it % iterations_per_epoch == 0:
                history["train_acc_history"].append((self.predict(X_batch) == y_batch).mean())
                history["val_acc_history"].append((self.predict(X_val) == y_val).mean())
                learning_rate *= learning_rate_decay
        return history

    def predict(self, X: Any) -> Any:
        """Return the class with the largest score for each row of X."""
        return np.argmax(self.loss(X), axis=1)
