"""``cs231n.solver``: training of a model, with accuracies along the way."""

from __future__ import annotations

import os
import pickle
from typing import Any

import numpy as np

from fastnn._utils.files import replacing
from fastnn.dropin.cs231n import optim

__all__ = ["Solver", "np", "optim", "os", "pickle"]


class Solver:
    """Trains a model on random batches, and leaves it with its best parameters.

    A model has a dict params of arrays, and a method loss(X, y), which returns a number and a
    dict of gradients, or scores of classes if y is left out.

    Options are update_rule ("sgd"), optim_config ({}), lr_decay (1.0, after each epoch),
    batch_size (100), num_epochs (10), num_train_samples (1000: as many random ones are taken for
    an accuracy, None for all) and num_val_samples (None), checkpoint_name (None: no files),
    print_every (10 iterations) and verbose (True).

    Attributes
    ----------
    epoch : int
        Epochs that are over.
    best_val_acc : float
        Best accuracy on the validation data.
    best_params : dict
        The parameters that had it.
    loss_history : list of float
        The loss of each batch.
    train_acc_history, val_acc_history : list of float
        Accuracies after the first iteration and each epoch.
    optim_configs : dict of str to dict
        What the update rule keeps for each parameter.
    """

    def __init__(self, model: Any, data: dict[str, Any], **kwargs: Any) -> None:
        self.model = model
        self.X_train, self.y_train = data["X_train"], data["y_train"]
        self.X_val, self.y_val = data["X_val"], data["y_val"]
        update_rule = kwargs.pop("update_rule", "sgd")
        self.optim_config = kwargs.pop("optim_config", {})
        self.lr_decay = kwargs.pop("lr_decay", 1.0)
        self.batch_size = kwargs.pop("batch_size", 100)
        self.num_epochs = kwargs.pop("num_epochs", 10)
        self.num_train_samples = kwargs.pop("num_train_samples", 1000)
        self.num_val_samples = kwargs.pop("num_val_samples", None)
        self.checkpoint_name = kwargs.pop("checkpoint_name", None)
        self.print_every = kwargs.pop("print_every", 10)
        self.verbose = kwargs.pop("verbose", True)
        if kwargs:
            extra = ", ".join(f'"{key}"' for key in kwargs)
            raise ValueError(f"Unrecognized arguments {extra}")
        if not hasattr(optim, update_rule):
            raise ValueError(f'Invalid update_rule "{update_rule}"')
        self.update_rule = getattr(optim, update_rule)
        self._reset()

    def _reset(self) -> None:
        self.epoch = 0
        self.best_val_acc: Any = 0
        self.best_params: dict[str, Any] = {}
        self.loss_history: list[Any] = []
        self.train_acc_history: list[Any] = []
        self.val_acc_history: list[Any] = []
        self.optim_configs = {p: dict(self.optim_config) for p in self.model.params}

    def _step(self) -> None:
        """Update all parameters once, by a random batch."""
        batch = np.random.choice(self.X_train.shape[0], self.batch_size)
        loss, grads = self.model.loss(self.X_train[batch], self.y_train[batch])
        self.loss_history.append(loss)
        for p, w in self.model.params.items():
            next_w, next_config = self.update_rule(w, grads[p], self.optim_configs[p])
            self.model.params[p] = next_w
            self.optim_configs[p] = next_config

    def _save_checkpoint(self) -> None:
        if self.checkpoint_name is None:
            return
        names = (
            "model", "update_rule", "lr_decay", "optim_config", "batch_size", "num_train_samples",
            "num_val_samples", "epoch", "loss_history", "train_acc_history", "val_acc_history",
        )  # fmt: skip
        filename = f"{self.checkpoint_name}_epoch_{self.epoch}.pkl"
        if self.verbose:
            print(f'Saving checkpoint to "{filename}"')
        with replacing(filename) as file:
            pickle.dump({name: getattr(self, name) for name in names}, file)

    def check_accuracy(
        self, X: Any, y: Any, num_samples: int | None = None, batch_size: int = 100
    ) -> Any:
        """Return the share of right answers, for as many random samples if there are more."""
        N = X.shape[0]
        if num_samples is not None and num_samples < N:
            chosen = np.random.choice(N, num_samples)
            N, X, y = num_samples, X[chosen], y[chosen]
        answers = [
            np.argmax(self.model.loss(X[start : start + batch_size]), axis=1)
            for start in range(0, N, batch_size)
        ]
        return np.mean(np.hstack(answers) == y)

    def train(self) -> None:
        """Train for all epochs."""
        per_epoch = max(self.X_train.shape[0] // self.batch_size, 1)
        num_iterations = self.num_epochs * per_epoch
        for t in range(num_iterations):
            self._step()
            if self.verbose and t % self.print_every == 0:
                loss = self.loss_history[-1]
                print(f"(Iteration {t + 1} / {num_iterations}) loss: {loss:f}")
            epoch_end = (t + 1) % per_epoch == 0
            if epoch_end:
                self.epoch += 1
                for config in self.optim_configs.values():
                    config["learning_rate"] *= self.lr_decay
            if t == 0 or epoch_end:
                self._take_stock()
        self.model.params = self.best_params

    def _take_stock(self) -> None:
        """Compute accuracies, and keep the parameters if they are the best so far."""
        train_acc = self.check_accuracy(self.X_train, self.y_train, self.num_train_samples)
        val_acc = self.check_accuracy(self.X_val, self.y_val, self.num_val_samples)
        self.train_acc_history.append(train_acc)
        self.val_acc_history.append(val_acc)
        self._save_checkpoint()
        if self.verbose:
            print(
                f"(Epoch {self.epoch} / {self.num_epochs}) "
                f"train acc: {train_acc:f}; val_acc: {val_acc:f}"
            )
        if val_acc > self.best_val_acc:
            self.best_val_acc = val_acc
            self.best_params = {name: w.copy() for name, w in self.model.params.items()}
