"""``cs231n.classifiers.linear_classifier``: classifiers trained by gradient descent."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._utils.reprs import of_settings
from fastnn.dropin.cs231n._affine import affine_forward
from fastnn.dropin.cs231n.classifiers import _saved
from fastnn.dropin.cs231n.classifiers.linear_svm import svm_loss_naive, svm_loss_vectorized
from fastnn.dropin.cs231n.classifiers.softmax import softmax_loss_naive, softmax_loss_vectorized
from fastnn.dropin.cs231n.optim import sgd

__all__ = [
    "LinearClassifier",
    "LinearSVM",
    "Softmax",
    "np",
    "softmax_loss_naive",
    "softmax_loss_vectorized",
    "svm_loss_naive",
    "svm_loss_vectorized",
]


class LinearClassifier:
    """Scores X W of classes; subclasses have the loss.

    Attributes
    ----------
    W : ndarray, shape (D, C), or None
        The weights; None before training.
    """

    def __init__(self) -> None:
        self.W: Any = None

    def __repr__(self) -> str:
        return of_settings(self)

    def train(
        self,
        X: Any,
        y: Any,
        learning_rate: Any = 1e-3,
        reg: Any = 1e-5,
        num_iters: int = 100,
        batch_size: int = 200,
        verbose: bool = False,
    ) -> list[Any]:
        """Train by gradient descent on random batches of X (N, D) and labels y (N,).

        Returns the loss of each iteration.
        """
        num_train, dim = X.shape
        if self.W is None:
            self.W = 0.001 * np.random.randn(dim, np.max(y) + 1)
        loss_history = []
        for it in range(num_iters):
            batch = np.random.choice(num_train, batch_size)
            loss, grad = self.loss(X[batch], y[batch], reg)
            loss_history.append(loss)
            sgd(self.W, grad, {"learning_rate": learning_rate})
            if verbose and it % 100 == 0:
                print(f"iteration {it} / {num_iters}: loss {loss:f}")
        return loss_history

    def predict(self, X: Any) -> Any:
        """Return the class with the largest score for each row of X."""
        scores, _ = affine_forward(X, self.W, np.zeros(self.W.shape[1:], self.W.dtype))
        return np.argmax(scores, axis=1)

    def loss(self, X_batch: Any, y_batch: Any, reg: Any) -> Any:
        """Return the loss and its gradient with respect to W; subclasses know how."""

    def save(self, fname: str) -> None:
        """Write the weights to a file in ``cs231n/saved``."""
        _saved.save(fname, {"W": self.W})

    def load(self, fname: str) -> bool:
        """Read the weights from a file in ``cs231n/saved``; say whether there was one."""
        params = _saved.load(fname)
        if params is not None:
            self.W = params["W"]
        return params is not None


class LinearSVM(LinearClassifier):
    """A linear classifier with the multiclass SVM loss."""

    def loss(self, X_batch: Any, y_batch: Any, reg: Any) -> Any:
        """Return the loss and its gradient with respect to W."""
        return svm_loss_vectorized(self.W, X_batch, y_batch, reg)


class Softmax(LinearClassifier):
    """A linear classifier with the cross-entropy of softmax."""

    def loss(self, X_batch: Any, y_batch: Any, reg: Any) -> Any:
        """Return the loss and its gradient with respect to W."""
        return softmax_loss_vectorized(self.W, X_batch, y_batch, reg)
