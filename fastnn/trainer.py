"""Training of a network on mini-batches, with the interface of the book's ``Trainer``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import _numbers as numbers
from fastnn import optimizers
from fastnn._types import Array

__all__ = ["OPTIMIZERS", "Trainer"]

OPTIMIZERS: Mapping[str, type[optimizers.Optimizer]] = MappingProxyType(
    {
        "sgd": optimizers.SGD,
        "momentum": optimizers.Momentum,
        "nesterov": optimizers.Nesterov,
        "adagrad": optimizers.AdaGrad,
        "rmsprop": optimizers.RMSProp,
        "adam": optimizers.Adam,
        "adamw": optimizers.AdamW,
    }
)


class Updater(Protocol):
    """What a trainer asks of an optimizer."""

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        """Change the arrays in `params` in place."""
        ...


class Network(Protocol):
    """What a trainer asks of a network."""

    params: dict[str, Array]
    last_layer: Any

    def gradient(self, x: Array, t: NDArray[Any]) -> dict[str, Array]:
        """Return the gradients and leave the loss in ``last_layer.loss``."""
        ...

    def accuracy(self, x: Array, t: NDArray[Any]) -> float:
        """Return the share of samples that are classified right."""
        ...


def _pair(name: str, x: ArrayLike, t: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    x, t = np.asarray(x), np.asarray(t)
    if len(x) != len(t):
        raise ValueError(f"t_{name}: expected {len(x)} targets, one per sample, got {len(t)}")
    if len(x) == 0:
        raise ValueError(f"x_{name}: expected at least one sample, got shape {x.shape}")
    return x, t


class Trainer:
    """Train a network on random mini-batches and follow its accuracy.

    Parameters
    ----------
    network : Network
        For example a :class:`fastnn.networks.MultiLayerNet`.
    x_train, t_train, x_test, t_test : array_like
        Samples (N, ...) and targets (N,) or (N, C).
    epochs : int
        Length of the training, in passes over the training set.
    mini_batch_size : int
        Samples per step, drawn with replacement, as in the book.
    optimizer : str or Optimizer
        Name in any case ("SGD", "Momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam",
        "AdamW"), or an optimizer: anything with ``update(params, grads)``.
    optimizer_param : mapping
        Settings of the optimizer that is named; not used for one that is given.
    evaluate_sample_num_per_epoch : int, optional
        How many of the first samples to evaluate on, instead of all.
    verbose : bool
        Whether to show a progress bar with the loss and samples per second.
    seed : int, optional
        Chooses the mini-batches; random ones if not given.

    Attributes
    ----------
    train_loss_list : list of float
        Loss on the mini-batch of each step, before its update, without weight penalty.
    train_acc_list, test_acc_list : list of float
        Accuracies, one for each epoch, taken after its first step, as in the book.
    final_test_acc : float or None
        Accuracy on the whole test set at the end of the training.
    optimizer : Optimizer
    iter_per_epoch, max_iter, current_iter, current_epoch : int

    Raises
    ------
    ValueError
        If a setting is out of its range, or samples and targets differ in number.
    """

    def __init__(
        self,
        network: Network,
        x_train: ArrayLike,
        t_train: ArrayLike,
        x_test: ArrayLike,
        t_test: ArrayLike,
        epochs: int = 20,
        mini_batch_size: int = 100,
        optimizer: str | Updater = "SGD",
        optimizer_param: Mapping[str, Any] = MappingProxyType({"lr": 0.01}),
        evaluate_sample_num_per_epoch: int | None = None,
        verbose: bool = True,
        *,
        seed: int | None = None,
    ) -> None:
        self.network = network
        self.x_train, self.t_train = _pair("train", x_train, t_train)
        self.x_test, self.t_test = _pair("test", x_test, t_test)
        self.epochs = numbers.whole("epochs", epochs, 0)
        self.batch_size = numbers.whole("mini_batch_size", mini_batch_size, 1)
        if isinstance(optimizer, str):
            name = numbers.one_of("optimizer", optimizer.lower(), tuple(OPTIMIZERS))
            optimizer = OPTIMIZERS[name](**optimizer_param)
        if isinstance(optimizer, type) or not callable(getattr(optimizer, "update", None)):
            raise TypeError(f"optimizer: expected a name or an optimizer, got {optimizer!r}")
        self.optimizer = optimizer
        if evaluate_sample_num_per_epoch is not None:
            numbers.whole("evaluate_sample_num_per_epoch", evaluate_sample_num_per_epoch, 1)
        self.evaluate_sample_num_per_epoch = evaluate_sample_num_per_epoch
        self.verbose = verbose

        self.train_size = len(self.x_train)
        self.iter_per_epoch = max(self.train_size // self.batch_size, 1)
        self.max_iter = self.epochs * self.iter_per_epoch
        self.current_iter = 0
        self.current_epoch = 0
        self.train_loss_list: list[float] = []
        self.train_acc_list: list[float] = []
        self.test_acc_list: list[float] = []
        self.final_test_acc: float | None = None
        self._rng = np.random.default_rng(seed)

    def train_step(self) -> None:
        """Take one step, and at the start of an epoch the accuracies."""
        rows = self._rng.integers(self.train_size, size=self.batch_size)
        grads = self.network.gradient(self.x_train[rows], self.t_train[rows])
        loss = float(self.network.last_layer.loss)
        self.optimizer.update(self.network.params, grads)
        self.train_loss_list.append(loss)
        if not math.isfinite(loss) and all(map(math.isfinite, self.train_loss_list[:-1])):
            epoch = self.current_iter // self.iter_per_epoch + 1
            rate = getattr(self.optimizer, "lr", "")
            warnings.warn(
                f"the loss became {loss} in epoch {epoch}, step {self.current_iter + 1}; "
                f"the learning rate {rate} may be too high",
                RuntimeWarning,
                stacklevel=2,
            )
        if self.current_iter % self.iter_per_epoch == 0:
            self.current_epoch += 1
            self._evaluate()
        self.current_iter += 1

    def _evaluate(self) -> None:
        n = self.evaluate_sample_num_per_epoch
        accuracy = self.network.accuracy
        self.train_acc_list.append(accuracy(self.x_train[:n], self.t_train[:n]))
        self.test_acc_list.append(accuracy(self.x_test[:n], self.t_test[:n]))

    def train(self) -> None:
        """Take all steps that are left."""
        from tqdm import tqdm

        if self.current_iter == self.max_iter:
            return
        with tqdm(
            total=self.max_iter * self.batch_size,
            initial=self.current_iter * self.batch_size,
            disable=not self.verbose,
            unit=" samples",
            unit_scale=True,
            dynamic_ncols=True,
        ) as bar:
            while self.current_iter < self.max_iter:
                self.train_step()
                bar.update(self.batch_size)
                if self.verbose and self.current_iter % 10 == 0:
                    bar.set_postfix(self._postfix(), refresh=False)
        self.final_test_acc = self.network.accuracy(self.x_test, self.t_test)
        if self.verbose:
            print(f"test accuracy after {self.epochs} epochs: {self.final_test_acc:.4f}")

    def _postfix(self) -> dict[str, str]:
        recent = self.train_loss_list[-10:]
        return {
            "epoch": f"{self.current_epoch}/{self.epochs}",
            "loss": f"{sum(recent) / len(recent):.4f}",
            "test acc": f"{self.test_acc_list[-1]:.3f}",
        }
