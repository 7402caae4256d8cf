"""Training of a network on mini-batches, with the interface of the book's ``Trainer``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from fastnn import config, ops
from fastnn._utils import interrupts
from fastnn._utils import validation as numbers
from fastnn._utils.log import show
from fastnn._utils.reprs import of_settings
from fastnn._utils.types import Float64s, Int64s
from fastnn._utils.warnings import warn
from fastnn.layers.adoption import is_ours, refresh
from fastnn.layers.record import takes
from fastnn.layers.state import named_layers
from fastnn.ops._arrays import real
from fastnn.optimizers import OPTIMIZERS
from fastnn.optimizers.updater import Updater, go_on, optimizer_of
from fastnn.program.executor import Network, StepSettings
from fastnn.training.choice import choose
from fastnn.training.data import Pair, samples, targets
from fastnn.training.divergence import (
    CHOICES,
    Divergence,
    DivergenceWarning,
    Guard,
    OnDivergence,
)
from fastnn.training.progress import is_shown, mean_text, samples_bar
from fastnn.training.runner import Runner

__all__ = ["OPTIMIZERS", "Trainer"]


def _pair(network: Any, name: str, x: ArrayLike, t: ArrayLike) -> Pair:
    for what, value in (("x", x), ("t", t)):
        if np.ndim(value) == 0:
            raise TypeError(f"{what}_{name}: expected an array of samples, got {value!r}")
    ours = is_ours(network)
    x = real(f"x_{name}", x) if ours else np.asarray(x)
    if len(x) == 0:
        raise ValueError(f"x_{name}: expected at least one sample, got shape {x.shape}")
    if ours and not any(map(network._has_own, ("predict", "gradient"))):
        if name == "train":
            return samples(network, x, t, suffix=f"_{name}")
        # Samples that are only tested need not be finite.
        return x, targets(network, t, len(x), network.output_size, f"t_{name}")
    t = np.asarray(t)
    if len(x) != len(t):
        raise ValueError(f"t_{name}: expected {len(x)} targets, one per sample, got {len(t)}")
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
        "AdamW", "NAdam", "Adamax", "AMSGrad", "Lion"), or an optimizer: anything with
        ``update(params, grads)``.
    optimizer_param : mapping
        Settings of the optimizer that is named; not used for one that is given.
    evaluate_sample_num_per_epoch : int, optional
        How many of the first samples to evaluate on, instead of all.
    verbose : bool or "auto"
        Whether to show a progress bar with the loss and samples per second; where there is
        neither a terminal nor a notebook, a line an epoch. "auto": in a terminal or a notebook
        only, not in the log of a job.
    seed : int, optional
        Chooses the mini-batches; random ones if not given.
    on_divergence : {"stop", "warn"}
        What to do about a loss that is not finite, as in :meth:`fastnn.Network.fit`. "stop": the
        training ends; network, optimizer and these lists are put back to the beginning of the
        epoch, or of the one before. A lower ``trainer.optimizer.lr`` may then go on from there.

    Attributes
    ----------
    train_loss_list : list of float
        Loss on the mini-batch of each step, before its update, without weight penalty.
    train_acc_list, test_acc_list : list of float
        Accuracies, one for each epoch, taken after its first step, as in the book.
    final_test_acc : float or None
        Accuracy on the whole test set at the end of the training.
    optimizer : Optimizer
    diverged : Divergence or None
        Where the training stopped as its loss was not finite.
    route, reason : str
        From the first step on, "program" or "layers", and why it is not the program.
    iter_per_epoch, max_iter, current_iter, current_epoch : int

    Raises
    ------
    TypeError, ValueError
        If a setting is out of its range, samples and targets differ in number, or a network of
        fastnn cannot take them; nothing has been changed then.
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
        verbose: bool | Literal["auto"] = True,
        *,
        seed: int | None = None,
        on_divergence: OnDivergence = "stop",
    ) -> None:
        if isinstance(network, type):
            raise TypeError(f"network: expected an object, got the class {network.__name__}")
        refresh(network, x_train)
        if takes(network) in ("numbers", "counts") and (getattr(network, "output_size", 2) < 2):
            raise ValueError(
                "network: expected one with classes, whose accuracy Trainer follows, got one with "
                f"{type(network.last_layer).__name__} and a single output; network.fit trains it"
            )
        self.network = network
        self.x_train, self.t_train = _pair(network, "train", x_train, t_train)
        self.x_test, self.t_test = _pair(network, "test", x_test, t_test)
        self.epochs = numbers.integer("epochs", epochs, 0)
        self.batch_size = numbers.integer("mini_batch_size", mini_batch_size, 1)
        self.optimizer = optimizer_of(optimizer, optimizer_param)
        if evaluate_sample_num_per_epoch is not None:
            numbers.integer("evaluate_sample_num_per_epoch", evaluate_sample_num_per_epoch, 1)
        self.evaluate_sample_num_per_epoch = evaluate_sample_num_per_epoch
        is_shown("verbose", verbose)
        self.verbose = verbose
        self._stops = numbers.one_of("on_divergence", on_divergence, CHOICES) == "stop"
        self.diverged: Divergence | None = None
        self._told = ""  # of a divergence

        self.train_size = len(self.x_train)
        self.iter_per_epoch = max(self.train_size // self.batch_size, 1)
        self.max_iter = self.epochs * self.iter_per_epoch
        self.current_iter = 0
        self.current_epoch = 0
        self.train_loss_list: list[float] = []
        self.train_acc_list: list[float] = []
        self.test_acc_list: list[float] = []
        self.final_test_acc: float | None = None
        self.route = self.reason = ""
        if seed is None:
            seed = int(np.random.default_rng().integers(2**63))
        self._seed = numbers.integer("seed", seed, 0, 2**64 - 1)
        self._rows = self._empty_rows()
        self._rows_of = -1  # the epoch that they are drawn for
        self._runner: Runner | None = None
        self._guard: Guard | None = None
        self._runs: tuple[Any, ...] | None = None  # what the runner was made for

    def __repr__(self) -> str:
        return of_settings(self, mini_batch_size=self.batch_size)

    def __getstate__(self) -> dict[str, Any]:
        # A runner knows addresses, and rows are drawn again.
        return {
            **vars(self),
            **dict.fromkeys(("_runner", "_runs", "_guard", "_rows")),
            "_rows_of": -1,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._rows = self._empty_rows()

    def _empty_rows(self) -> Int64s:
        return np.empty(self.iter_per_epoch * self.batch_size, np.int64)

    def train_step(self) -> None:
        """Take one step, and after the first one of an epoch the accuracies."""
        self._take(1)

    def _take(self, steps: int, after: Callable[[int], None] = lambda samples: None) -> None:
        """Take some steps of an epoch."""
        self._evaluate_begun()  # an interruption may have left one out
        go_on(self.optimizer, self.network)  # another network may have been trained with it
        runner = self._current_runner()
        self.diverged = None
        epoch, first = divmod(self.current_iter, self.iter_per_epoch)
        if self._guard is not None and (first == 0 or self._guard.is_new):
            self._guard.keep(self.current_iter)
        if self._rows_of != epoch:
            ops.choices(self.train_size, self._rows.size, self._seed, epoch, out=self._rows)
            self._rows_of = epoch
        rows = self._rows[first * self.batch_size : (first + steps) * self.batch_size]
        bad = runner.run(rows, np.ones(steps), self.current_iter, after)
        if bad is not None and self._guard is not None:
            with interrupts.held_to_the_end():
                found = self._guard.stop(bad)
                self._put_back(found)
            if found.message != self._told:  # a loop of single steps may come here again
                self._told = found.message
                warn(found.message, DivergenceWarning)
            return
        self._evaluate_begun()

    def _put_back(self, diverged: Divergence) -> None:
        """Bring the lists to where the network was put back to."""
        steps = diverged.steps
        epochs = -(-steps // self.iter_per_epoch)  # accuracies are taken after the first step
        del self.train_loss_list[steps:], self.train_acc_list[epochs:], self.test_acc_list[epochs:]
        self.current_iter, self.current_epoch, self.diverged = steps, epochs, diverged

    def _current_runner(self) -> Runner:
        network: Any = self.network
        scale = getattr(network, "input_scale", 1.0)
        kind = type(network.last_layer)
        found = [*named_layers(network).items()]
        wanted = id(network), id(self.optimizer), kind, scale, config.get_backend(), found
        if self._runner is None or self._runs != wanted:
            self._runner, self._runs = self._new_runner(), wanted
        return self._runner

    def _new_runner(self) -> Runner:
        executor = choose(
            self.network,
            self.optimizer,
            self.x_train,
            self.t_train,
            self.batch_size,
            StepSettings(stops=self._stops),
        )
        self.route, self.reason = executor.name, executor.reason
        data = {"x_train": self.x_train, "t_train": self.t_train}
        if self._stops:
            given = self.network, self.optimizer, (self.x_train, self.t_train)
            self._guard = Guard(*given, None, self.iter_per_epoch)
        return Runner(
            executor,
            self.optimizer,
            self.batch_size,
            self.iter_per_epoch,
            self._record,
            data,
            self._stops,
        )

    def _record(self, losses: Float64s, correct: Int64s) -> None:
        self.train_loss_list += losses.tolist()
        self.current_iter += losses.size

    def _evaluate_begun(self) -> None:
        """Take the accuracies of each epoch that has begun and has none."""
        while self.current_epoch * self.iter_per_epoch < self.current_iter:
            self._evaluate()

    def _evaluate(self) -> None:
        n = self.evaluate_sample_num_per_epoch
        accuracy = self.network.accuracy
        train = accuracy(self.x_train[:n], self.t_train[:n])
        test = accuracy(self.x_test[:n], self.t_test[:n])
        with interrupts.held():  # all or none
            self.train_acc_list.append(train)
            self.test_acc_list.append(test)
            self.current_epoch += 1

    def train(self) -> None:
        """Take all steps that are left."""
        over = self.current_iter == self.max_iter and self.final_test_acc is not None
        if self.max_iter == 0 or over:
            return
        size = self.batch_size
        executor, shown = self._current_runner().executor, is_shown("verbose", self.verbose)
        total, done = self.max_iter * size, self.current_iter * size
        with samples_bar(executor, total, done, shown) as progress:

            def after(samples: int) -> None:
                progress.advance(samples, self._facts)

            while self.current_iter < self.max_iter:
                epoch, first = divmod(self.current_iter, self.iter_per_epoch)
                # One step before the accuracies, as in the book, and then the rest.
                self._take(1 if self.current_epoch <= epoch else self.iter_per_epoch - first, after)
                if self.diverged is not None:
                    break
                if progress.bar is None and self.current_iter % self.iter_per_epoch == 0:
                    epoch_of, *facts = (f"{k} {value}" for k, value in self._facts().items())
                    progress.write(f"{epoch_of}: {', '.join(facts)}")
        self._evaluate_begun()
        self.final_test_acc = self.network.accuracy(self.x_test, self.t_test)
        if shown:
            show(f"test accuracy after {self.epochs} epochs: {self.final_test_acc:.4f}", sys.stdout)

    def _facts(self) -> dict[str, str]:
        facts = {
            "epoch": f"{self.current_epoch}/{self.epochs}",
            "loss": mean_text(self.train_loss_list[-10:]),
        }
        if self.test_acc_list:
            facts["test acc"] = f"{self.test_acc_list[-1]:.3f}"
        return facts
