"""``common.trainer``: training on random mini-batches."""

from __future__ import annotations

import os
import sys
from typing import Any, ClassVar

import numpy as np

from fastnn._utils.reprs import of_settings
from fastnn.dropin.dlfs.optimizer import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSprop

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "Momentum",
    "Nesterov",
    "RMSprop",
    "Trainer",
    "np",
    "os",
    "sys",
]


class Trainer:
    """Train a network, and print and keep losses and accuracies."""

    _optimizers: ClassVar[dict[str, str]] = {
        "sgd": "SGD",
        "momentum": "Momentum",
        "nesterov": "Nesterov",
        "adagrad": "AdaGrad",
        "rmsprop": "RMSprop",
        "rmsprpo": "RMSprop",  # the book's spelling
        "adam": "Adam",
    }

    def __init__(
        self,
        network: Any,
        x_train: Any,
        t_train: Any,
        x_test: Any,
        t_test: Any,
        epochs: Any = 20,
        mini_batch_size: Any = 100,
        optimizer: Any = "SGD",
        optimizer_param: Any = {"lr": 0.01},  # noqa: B006 (nobody writes to it)
        evaluate_sample_num_per_epoch: Any = None,
        verbose: Any = True,
    ) -> None:
        self.network = network
        self.verbose = verbose
        self.x_train = x_train
        self.t_train = t_train
        self.x_test = x_test
        self.t_test = t_test
        self.epochs = epochs
        self.batch_size = mini_batch_size
        self.evaluate_sample_num_per_epoch = evaluate_sample_num_per_epoch
        self.optimizer = self._global(self._optimizers[optimizer.lower()])(**optimizer_param)

        self.train_size = x_train.shape[0]
        self.iter_per_epoch = max(self.train_size / mini_batch_size, 1)
        self.max_iter = int(epochs * self.iter_per_epoch)
        self.current_iter = 0
        self.current_epoch = 0

        self.train_loss_list: list[Any] = []
        self.train_acc_list: list[Any] = []
        self.test_acc_list: list[Any] = []

    def _global(self, name: str) -> Any:
        """Return what a name means in this module, where scripts may set it."""
        return globals()[name]

    def __repr__(self) -> str:
        return of_settings(self, mini_batch_size=self.batch_size)

    def train_step(self) -> None:
        """Take one step, on a batch that NumPy's global generator draws."""
        rows = np.random.choice(self.train_size, self.batch_size)  # noqa: NPY002
        x, t = self.x_train[rows], self.t_train[rows]
        self.optimizer.update(self.network.params, self.network.gradient(x, t))
        loss = self.network.loss(x, t)
        self.train_loss_list.append(loss)
        if self.verbose:
            print("train loss:" + str(loss))
        if self.current_iter % self.iter_per_epoch == 0:
            self._evaluate()
        self.current_iter += 1

    def _evaluate(self) -> None:
        self.current_epoch += 1
        n = self.evaluate_sample_num_per_epoch
        train_acc = self.network.accuracy(self.x_train[:n], self.t_train[:n])
        test_acc = self.network.accuracy(self.x_test[:n], self.t_test[:n])
        self.train_acc_list.append(train_acc)
        self.test_acc_list.append(test_acc)
        if self.verbose:
            print(f"=== epoch:{self.current_epoch}, train acc:{train_acc}, test acc:{test_acc} ===")

    def train(self) -> None:
        """Take all steps, and then the accuracy on the test set."""
        for _ in range(self.max_iter):
            self.train_step()
        test_acc = self.network.accuracy(self.x_test, self.t_test)
        if self.verbose:
            print("=============== Final Test Accuracy ===============")
            print("test acc:" + str(test_acc))
