"""The epochs of a training: stretches of steps, validation, records and callbacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastnn import ops
from fastnn._messages import compiling
from fastnn._messages.bars import Progress
from fastnn._utils import interrupts
from fastnn._utils import validation as numbers
from fastnn._utils.mapped import expect_whole
from fastnn._utils.types import Float64s, Int64s
from fastnn._utils.warnings import warn
from fastnn.optimizers.updater import Updater
from fastnn.program.executor import Executor
from fastnn.training import schedules
from fastnn.training.callbacks import Callback
from fastnn.training.data import Pair, not_finite
from fastnn.training.evaluation import evaluate
from fastnn.training.factors import factors_of, warn_of_rest
from fastnn.training.history import History
from fastnn.training.progress import mean_text, samples_bar
from fastnn.training.runner import Runner


class Epochs:
    """The epochs that a training has left.

    Parameters
    ----------
    network : Network
    history : History
        Of this training, which it may have begun already; it is added to.
    executor : Executor
    optimizer : Updater
    data : (x, t)
    held_out : (x, t) or None
        What to validate on.
    """

    def __init__(
        self,
        network: Any,
        history: History,
        executor: Executor,
        optimizer: Updater,
        data: Pair,
        held_out: Pair | None,
    ) -> None:
        self._network, self._history, self._executor = network, history, executor
        self._held_out = held_out
        self._told = False  # of a validation loss that is not finite
        self._schedule = history.schedule
        if self._schedule is not None:
            self._schedule = schedules.in_steps(self._schedule, history.steps_per_epoch)
        self._runner = Runner(
            executor,
            optimizer,
            history.batch_size,
            history.steps_per_epoch,
            self._record_steps,
            dict(zip("xt", data, strict=True)),
        )
        # A step on all samples takes them as they stand: their order changes rounding errors alone.
        self._rows: Int64s | None = None
        if history.steps_per_epoch > 1:
            self._rows = np.arange(history.samples, dtype=np.int64)

    def run(self, epochs: int, callbacks: Sequence[Callback], verbose: bool) -> None:
        """Train until there have been so many epochs, or a callback ends the training."""
        history, rows = self._history, self._rows
        self._warn_of_rest(epochs)
        total = epochs * history.samples
        done = min(len(history.step_losses) * history.batch_size, total)
        with samples_bar(self._executor, total, done, verbose) as progress:
            after = self._advancing(progress, epochs)
            while history.epochs < epochs:
                if rows is not None and history.shuffle:
                    ops.permutation(history.samples, history.seed, history.epochs, out=rows)
                if rows is None and self._held_out is None and not callbacks:
                    # Nothing happens between epochs of one step: their steps run together.
                    try:
                        self._train(epochs, after)
                    finally:
                        self._record_epochs()
                else:
                    self._train(history.epochs + 1, after, callbacks)
                    self._record_epochs(*self._validated())
                progress.write(f"epoch {history.epochs}/{epochs}: {history.line(history.epochs)}")
                ending = [c for c in callbacks if c.on_epoch_end(history.epochs)]
                if ending:
                    names = ", ".join(type(callback).__name__ for callback in ending)
                    progress.write(f"{names}: the training ends here")
                    break
        for callback in callbacks:
            callback.on_train_end()

    def _warn_of_rest(self, epochs: int) -> None:
        history = self._history
        if self._schedule is not None and schedules.describe(self._schedule) is not None:
            first, end = len(history.step_losses), epochs * history.steps_per_epoch
            warn_of_rest(self._schedule, first, end)

    def _advancing(self, progress: Progress, epochs: int) -> Callable[[int], None]:
        """Return what moves the progress bar on by a number of samples."""
        history = self._history

        def facts() -> dict[str, str]:
            loss = mean_text(history.step_losses[-20:])
            return {"epoch": f"{history.epochs + 1}/{epochs}", "loss": loss}

        return lambda samples: progress.advance(samples, facts)

    def _train(
        self, until: int, after: Callable[[int], None], callbacks: Sequence[Callback] = ()
    ) -> None:
        """Carry out the steps that are left before epoch `until`, counted from 0."""
        history, rows = self._history, self._rows
        size, end = history.batch_size, until * history.steps_per_epoch
        epoch = history.epochs * history.steps_per_epoch  # its first step
        begin = first = len(history.step_losses)  # in the middle if the epoch was interrupted
        factors = factors_of(self._schedule, first, end)
        while begin < end:
            stops = [_stop(callback, begin) for callback in callbacks]
            stop = min([end, *(step for step in stops if step is not None)])
            part = None if rows is None else rows[(begin - epoch) * size : (stop - epoch) * size]
            start = compiling.clock()
            try:
                self._runner.run(part, factors[begin - first : stop - first], begin, after)
            finally:
                history.state.elapsed += compiling.clock() - start
            for callback, wanted in zip(callbacks, stops, strict=True):
                if wanted == stop:
                    callback.on_steps_end(stop)
            begin = stop

    def _validated(self) -> tuple[float, ...]:
        """Return loss and accuracy on the validation data; nothing if there are none."""
        if self._held_out is None:
            return ()
        for name, array in zip("xt", self._held_out, strict=True):
            expect_whole(f"validation {name}", array)
        loss, accuracy = evaluate(self._network, *self._held_out)
        if not (math.isfinite(loss) or self._told):
            self._told = True
            self._warn_of_validation(loss, self._held_out)
        return loss, accuracy

    def _warn_of_validation(self, loss: float, held_out: Pair) -> None:
        """Name a sample in a file that makes a loss not finite; others are seen before."""
        for name, array in zip("xt", held_out, strict=True):
            where = not_finite(f"validation {name}", array)
            if where:
                epoch = self._history.epochs + 1
                warn(
                    f"the validation loss became {loss} in epoch {epoch}; there is {where}",
                    RuntimeWarning,
                )
                return

    def _record_steps(self, losses: Float64s, correct: Int64s) -> None:
        self._history.step_losses += losses.tolist()
        self._history.step_hits += correct.tolist()

    def _record_epochs(self, *validated: float) -> None:
        """Record the epochs that have all their steps by now.

        What was validated is the last one's.
        """
        history = self._history
        steps, begin = history.steps_per_epoch, history.epochs
        end = len(history.step_losses) // steps
        if end == begin:
            return
        sizes = np.full(steps, history.batch_size)
        sizes[-1] = history.samples - sizes[:-1].sum()
        part = slice(begin * steps, end * steps)
        losses = np.reshape(history.step_losses[part], (-1, steps))
        correct = np.reshape(history.step_hits[part], (-1, steps))
        factors = factors_of(self._schedule, part.start, part.stop)[steps - 1 :: steps]
        with np.errstate(all="ignore"):
            values = {
                "loss": (losses @ sizes / history.samples).tolist(),
                "accuracy": (correct.sum(axis=1) / history.samples).tolist(),
                "lr": (self._runner.rate() * factors).tolist(),
                "seconds": [history.elapsed / (end - begin)] * (end - begin),
            }
        if validated:
            values["val_loss"], values["val_accuracy"] = ([value] for value in validated)
        with interrupts.held():  # all lists or none
            for name in (*history.metrics, "lr", "seconds"):
                getattr(history, name).extend(values[name])
            history.state.elapsed = 0.0


def _stop(callback: Callback, done: int) -> int | None:
    """Return the step after which a callback is to be called next."""
    stop = callback.next_stop(done)
    if stop is None:
        return None
    return numbers.integer(f"{type(callback).__name__}.next_stop({done})", stop, done + 1)
