"""What happens during ``network.fit``: at the end of each epoch, or of some steps."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any, SupportsFloat, SupportsIndex

from fastnn._utils import validation as numbers
from fastnn._utils.files import Path_, file_at, path_of
from fastnn._utils.reprs import of_settings
from fastnn.optimizers.state import optimizer_state
from fastnn.optimizers.updater import rate_of
from fastnn.training.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from fastnn.training.checkpoint_name import CheckpointName
from fastnn.training.epoch_rows import EpochRows
from fastnn.training.history import History
from fastnn.training.metrics import is_smaller_better
from fastnn.training.weights import Weights, not_finite_in

__all__ = [
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "ReduceLROnPlateau",
    "load_checkpoint",
    "newest_checkpoint",
    "save_checkpoint",
]


class Callback:
    """Base of callbacks: override what is needed.

    Attributes
    ----------
    network, optimizer, history
        Those of the training, set before :meth:`on_train_begin`.
    every_steps : int or None
        After each how many steps :meth:`on_steps_end` is called, at least 1; None: never.
        Steps are counted from the start of the training, also in one that is resumed, and
        through all its epochs.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.callbacks import Callback
    >>> class Norm(Callback):
    ...     every_steps = 2
    ...
    ...     def on_steps_end(self, step):
    ...         print(step, np.linalg.norm(self.network.params["W1"]) > 0)
    >>> net = MultiLayerNet(4, [8], 3, seed=0)
    >>> x, t = np.ones((6, 4)), np.zeros(6, int)
    >>> _ = net.fit(x, t, epochs=2, batch_size=2, callbacks=[Norm()], verbose=False)
    2 True
    4 True
    6 True
    """

    network: Any
    optimizer: Any
    history: History
    every_steps: int | None = None

    def __repr__(self) -> str:
        return of_settings(self)

    def on_train_begin(self) -> None:
        """Act before the first epoch."""

    def next_stop(self, step: int) -> int | None:
        """Return the step after which to call :meth:`on_steps_end` next; None: never again.

        Override it to stop at other steps than each `every_steps`. The network is trained in
        long stretches between stops.

        Parameters
        ----------
        step : int
            Steps that have been done.
        """
        if self.every_steps is None:
            return None
        every = numbers.integer(f"{type(self).__name__}.every_steps", self.every_steps, 1)
        return step - step % every + every

    def on_steps_end(self, step: int) -> None:
        """Act after some steps, `step` of them since the start of the training.

        At the end of an epoch this comes before validation and :meth:`on_epoch_end`.
        """

    def on_epoch_end(self, epoch: int) -> bool | None:
        """Act after an epoch, counted from 1; return True to end the training."""
        return None

    def on_train_end(self) -> None:
        """Act at the end of the training, unless an exception ended it.

        ``self.history.diverged`` says whether it ended as its loss was not finite.
        """

    def on_interrupt(self) -> None:
        """Act when Ctrl-C has ended the training, before KeyboardInterrupt comes through."""


def _monitor(monitor: str, mode: str | None) -> str:
    """Return what a callback is to watch, if it is known whether less or more of it is better."""
    if mode is not None:
        numbers.one_of("mode", mode, ("min", "max"))
    if not isinstance(monitor, str) or (mode is None and is_smaller_better(monitor) is None):
        raise ValueError(
            "monitor: expected one of loss, accuracy, val_loss, val_accuracy, or the name of a "
            f'metric, of your own with mode="min" or "max" beside it, got {monitor!r}'
        )
    return monitor


class _Best:
    """The best value of a metric so far: the smallest loss or error, or the largest of others.

    A training that goes on where another ended starts from that one's values.
    """

    def __init__(self, callback: Any, min_delta: float) -> None:
        kind, monitor, history = type(callback).__name__, callback.monitor, callback.history
        if monitor not in history.metrics:
            raise ValueError(
                f"{kind}: monitor: expected one of {', '.join(history.metrics)}, which this "
                f"training has, got {monitor!r}"
                + ("; fit needs validation=" if monitor.startswith("val_") else "")
            )
        smaller = is_smaller_better(monitor) if callback.mode is None else callback.mode == "min"
        self._sign = -1.0 if smaller else 1.0
        self._min_delta = min_delta
        self.value, self.epoch, self.waited = math.nan, 0, 0
        self._values: list[float] = history[monitor]

    def improved(self, epoch: int) -> bool:
        """Look at an epoch: say whether it is the best one, by more than `min_delta`."""
        value = self._values[epoch - 1]
        gain = self._sign * (value - self.value)
        if gain > self._min_delta or (math.isnan(self.value) and not math.isnan(value)):
            self.value, self.epoch, self.waited = value, epoch, 0
            return True
        self.waited += 1
        return False


class EarlyStopping(Callback):
    """End the training when a metric stops improving.

    Parameters
    ----------
    monitor : str
        "val_loss", "val_accuracy", "loss", "accuracy", or what `fit` was asked for by `metrics`.
    patience : int
        How many epochs in a row may pass without a new best value, at least 1.
    min_delta : float
        By how much a value must be better to count, at least 0.
    restore_best : bool
        Whether the network gets back, at the end, the parameters and running statistics of the
        best epoch, and ``history.averages`` its moving average. The optimizer stays as it is. Of a
        training that was resumed, only the epochs since then can be brought back. After Ctrl-C, or
        a divergence, it is so until the training is resumed, which goes on with the weights of the
        last step, or with those that it was put back to.
    mode : {"min", "max"}, optional
        Whether a smaller or a larger value is the better one. If not given it goes by the name:
        smaller for losses and errors, larger for accuracies, scores and r2.

    Attributes
    ----------
    best : float
        The best value; NaN before the first one.
    best_epoch : int
        Its epoch, counted from 1; 0 before the first one.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: SupportsIndex = 5,
        min_delta: SupportsFloat = 0.0,
        restore_best: bool = True,
        mode: str | None = None,
    ) -> None:
        self.monitor, self.mode = _monitor(monitor, mode), mode
        self.patience = numbers.integer("patience", patience, 1)
        self.min_delta = numbers.not_negative("min_delta", min_delta)
        self.restore_best = restore_best
        self.best, self.best_epoch = math.nan, 0
        self._kept: Weights | None = None

    def on_train_begin(self) -> None:
        """Look at what a resumed training has recorded."""
        self._best = _Best(self, self.min_delta)
        self._kept = None
        for epoch in range(1, self.history.epochs + 1):
            self._best.improved(epoch)
        self.best, self.best_epoch = self._best.value, self._best.epoch

    def on_epoch_end(self, epoch: int) -> bool:
        """Keep a copy of the best network; return whether patience is at an end."""
        if self._best.improved(epoch) and self.restore_best:
            self._kept = Weights(self.network, self.history.averages, statistics_only=True)
        self.best, self.best_epoch = self._best.value, self._best.epoch
        return self._best.waited >= self.patience

    def on_train_end(self) -> None:
        """Put back the best network."""
        if self.history.diverged is not None:
            self.on_interrupt()
        elif self._kept is not None:
            self._kept.put(self.network, self.history.averages)

    def on_interrupt(self) -> None:
        """Put the best network in the place of the last one, until the training is resumed."""
        if self._kept is not None and self.best_epoch <= self.history.sound:
            self.history.leave(self.network, self._kept)


class ReduceLROnPlateau(Callback):
    """Multiply the optimizer's `lr` by a factor when a metric stops improving.

    Parameters
    ----------
    monitor : str
        "val_loss", "val_accuracy", "loss", "accuracy", or what `fit` was asked for by `metrics`.
    factor : float
        In (0, 1).
    patience : int
        How many epochs in a row may pass without a new best value, at least 1; they are
        counted again after each reduction.
    min_delta : float
        By how much a value must be better to count, at least 0.
    min_lr : float
        The learning rate is not reduced below this, at least 0.
    mode : {"min", "max"}, optional
        Whether a smaller or a larger value is the better one. If not given it goes by the name:
        smaller for losses and errors, larger for accuracies, scores and r2.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: SupportsFloat = 0.1,
        patience: SupportsIndex = 10,
        min_delta: SupportsFloat = 0.0,
        min_lr: SupportsFloat = 0.0,
        mode: str | None = None,
    ) -> None:
        self.monitor, self.mode = _monitor(monitor, mode), mode
        self.factor = numbers.number("factor", factor, numbers.BETWEEN)
        self.patience = numbers.integer("patience", patience, 1)
        self.min_delta = numbers.not_negative("min_delta", min_delta)
        self.min_lr = numbers.not_negative("min_lr", min_lr)

    def on_train_begin(self) -> None:
        """Look at what a resumed training has recorded."""
        if rate_of(self.optimizer) is None:
            raise TypeError(
                f"ReduceLROnPlateau: expected an optimizer with a number `lr`, "
                f"got {self.optimizer!r}"
            )
        self._best = _Best(self, self.min_delta)
        for epoch in range(1, self.history.epochs + 1):
            self._is_over(epoch)

    def _is_over(self, epoch: int) -> bool:
        over = not self._best.improved(epoch) and self._best.waited >= self.patience
        if over:
            self._best.waited = 0
        return over

    def on_epoch_end(self, epoch: int) -> None:
        """Reduce the learning rate where patience is at an end."""
        if self._is_over(epoch):
            lr = self.optimizer.lr
            self.optimizer.lr = min(lr, max(lr * self.factor, self.min_lr))


class Checkpoint(Callback):
    """Write all that a training needs to go on to a file; see :func:`load_checkpoint`.

    Parameters that are not finite are never written. Where a training is put back as its loss was
    not finite, the file becomes that of the epoch that it was put back to; one of a later epoch
    whose name is its own gets ".diverged" behind it, so that :func:`newest_checkpoint` returns one
    to go on from.
    The file is an npz archive without pickles. It takes the place of the one before only when
    it is whole. Whatever their order, checkpoints come after the other callbacks.

    Parameters
    ----------
    path : str or path
        The name of the file may have `epoch`, counted from 1, and what is recorded of it, such as
        `val_loss`, in braces, as in Keras: ``"{epoch:02d}-{val_loss:.3f}.npz"`` gives each epoch a
        file of its own, ``03-0.412.npz``, and :func:`newest_checkpoint` returns the one to resume
        from. Doubled braces stand for themselves.
    monitor : str, optional
        Write only after epochs with a better value of this, as for :class:`EarlyStopping`, than
        those that have been written.
    every : int
        Write only after each so many epochs, at least 1; the others are not looked at.
    mode : {"min", "max"}, optional
        Whether a smaller or a larger value is the better one. If not given it goes by the name:
        smaller for losses and errors, larger for accuracies, scores and r2.

    Raises
    ------
    TypeError, ValueError
        If one is not as above. That a training does not record what the name has is raised when it
        begins.
    """

    def __init__(
        self,
        path: Path_,
        monitor: str | None = None,
        every: SupportsIndex = 1,
        mode: str | None = None,
    ) -> None:
        self.path = path_of("path", path)
        CheckpointName(path)  # raises for other braces
        self.monitor, self.mode = None if monitor is None else _monitor(monitor, mode), mode
        self.every = numbers.integer("every", every, 1)

    def on_train_begin(self) -> None:
        """Look at what a resumed training has recorded, and which of its files are there."""
        self._name = CheckpointName(self.path)
        self._name.expect(self.history)
        optimizer_state(self.optimizer)  # like the line above: now, not after an epoch
        self._best, self._written = None, 0
        if self.monitor is not None:
            self._best = _Best(self, 0.0)
            for epoch in range(self.every, self.history.epochs + 1, self.every):
                if self._name.of(self.history, epoch).exists():
                    self._best.improved(epoch)

    def on_epoch_end(self, epoch: int) -> None:
        """Write the file."""
        if epoch % self.every or not_finite_in(self.network.params) is not None:
            return
        if self._best is None or self._best.improved(epoch):
            path = self._name.of(self.history, epoch)
            save_checkpoint(path, self.network, self.optimizer, self.history)
            self._written = epoch

    def on_train_end(self) -> None:
        """Replace the file, or if its name has fields rename it, if it led to a bad loss."""
        if self._written <= self.history.sound:
            return
        path = self._name.of(self.history, self._written)
        if self._name.has_fields:
            with suppress(FileNotFoundError):
                path.replace(path.with_name(f"{path.name}.diverged"))
        else:
            save_checkpoint(path, self.network, self.optimizer, self.history)


class CSVLogger(Callback):
    """Write what is recorded of each epoch to a file of comma-separated values.

    Rows are added at the end of each epoch. When a training is resumed, the file goes on behind the
    rows of the epochs that it has behind it: rows that are missing, or cut off as a process that
    was killed leaves them, are written from the history first. Nothing is written before an epoch
    has ended.

    Parameters
    ----------
    path : str or path
    """

    def __init__(self, path: Path_) -> None:
        self.path = path_of("path", path)

    def on_train_begin(self) -> None:
        """Look at what the file has, if the training is resumed."""
        file_at(self.path)  # raises what the end of the epoch would raise
        self._rows = EpochRows(self.path, self.history)

    def on_epoch_end(self, epoch: int) -> None:
        """Add a row."""
        self._rows.write(epoch)

    def on_train_end(self) -> None:
        """Add the rows that are missing of a training that had no epochs left."""
        if self.history.epochs:
            self._rows.write(self.history.epochs)
