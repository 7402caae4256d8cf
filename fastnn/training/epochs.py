"""The epochs of a training: stretches of steps, validation, records and callbacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
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
from fastnn.layers.adoption import refresh
from fastnn.optimizers.updater import go_on
from fastnn.program.executor import Executor
from fastnn.training import schedules
from fastnn.training.callbacks import Callback
from fastnn.training.choice import is_known
from fastnn.training.data import Pair, Parts, not_finite
from fastnn.training.divergence import BadStep, DivergenceWarning, Guard
from fastnn.training.evaluation import evaluate, evaluate_averages, measure
from fastnn.training.factors import factors_of, warn_of_rest
from fastnn.training.history import History
from fastnn.training.progress import mean_text, samples_bar
from fastnn.training.runner import Runner
from fastnn.training.settings import FitSettings

# How many steps, or samples, there are at least from one copy of the parameters to the next, as a
# copy takes about as long as the update of a step.
_STEPS, _SAMPLES = 100, 1 << 16


class Epochs:
    """The epochs that a training has left.

    Parameters
    ----------
    network : Network
    history : History
        Of this training, which it may have begun already; it is added to.
    executor : Executor
    settings : FitSettings
    parts : Parts
        What to train and what to validate on.
    """

    def __init__(
        self,
        network: Any,
        history: History,
        executor: Executor,
        settings: FitSettings,
        parts: Parts,
    ) -> None:
        self._network, self._history, self._executor = network, history, executor
        self._settings, self._data, self._held_out = settings, parts.data, parts.held_out
        self._weights, self._of_held_out = parts.weights, parts.of_held_out
        self._apart = min(_STEPS, -(-_SAMPLES // history.batch_size))
        self._guard: Guard | None = None
        if settings.on_divergence == "stop":
            known = not settings.callbacks and is_known(network, settings.optimizer)
            self._guard = Guard(
                network,
                settings.optimizer,
                parts.data,
                executor.averages,
                history.steps_per_epoch,
                self._again if known else None,  # what is not known may not be the same again
                self._apart,
            )
        self._told = False  # of a validation loss that is not finite
        self._schedule = history.schedule
        if self._schedule is not None:
            self._schedule = schedules.in_steps(self._schedule, history.steps_per_epoch)
        self._runner = Runner(
            executor,
            settings.optimizer,
            history.batch_size,
            history.steps_per_epoch,
            self._record_steps,
            dict(zip("xt", parts.data, strict=True)),
            self._guard is not None,
        )
        # A step on all samples takes them as they stand: their order changes rounding errors alone.
        self._rows: Int64s | None = None
        if history.steps_per_epoch > 1:
            self._rows = np.arange(history.samples, dtype=np.int64)

    def run(self) -> None:
        """Train until there have been so many epochs, or a callback ends the training."""
        try:
            self._run()
        finally:
            # They refer to this object, which would keep the memory of its program until Python's
            # collector of garbage comes by: a list of networks would need that of several.
            del self._runner, self._guard

    def _run(self) -> None:
        history, epochs, callbacks = self._history, self._settings.epochs, self._settings.callbacks
        for callback in callbacks:
            callback.network, callback.history = self._network, history
            callback.optimizer = self._settings.optimizer
            self._call(callback.on_train_begin)
        self._warn_of_rest(epochs)
        total = epochs * history.samples
        done = min(len(history.step_losses) * history.batch_size, total)
        alone = self._held_out is None and not history.functions
        together = self._rows is None and alone and not callbacks
        try:
            with samples_bar(self._executor, total, done, self._settings.verbose) as progress:
                after = self._advancing(progress, epochs)
                while history.epochs < epochs and history.diverged is None:
                    if together:
                        self._epochs_of_one_step(after)
                    else:
                        self._epoch(after)
                    if history.diverged is not None or (together and history.epochs < epochs):
                        continue
                    line = history.line(history.epochs)
                    progress.write(f"epoch {history.epochs}/{epochs}: {line}")
                    ending = [c for c in callbacks if self._call(c.on_epoch_end, history.epochs)]
                    if ending:
                        names = ", ".join(type(callback).__name__ for callback in ending)
                        progress.write(f"{names}: the training ends here")
                        break
        except KeyboardInterrupt:
            history.interrupted = True
            with interrupts.held():
                for callback in callbacks:
                    callback.on_interrupt()
            raise
        for callback in callbacks:
            self._call(callback.on_train_end)
        if history.diverged is not None:
            warn(history.diverged.message, DivergenceWarning)

    def _call(self, method: Callable[..., bool | None], *given: int) -> bool | None:
        """Call a method of a callback, and take up what that has done.

        It may have assigned parameters, or trained another network with the optimizer, which then
        has the state and the rate of that one.
        """
        result = method(*given)
        refresh(self._network)
        go_on(self._settings.optimizer, self._network)
        return result

    def _epoch(self, after: Callable[[int], None]) -> None:
        """Train for an epoch and validate."""
        history, rows, guard = self._history, self._rows, self._guard
        if guard is not None:
            guard.keep(len(history.step_losses))
        if rows is not None and history.shuffle:
            ops.permutation(history.samples, history.seed, history.epochs, out=rows)
        bad = self._train(history.epochs + 1, after)
        if bad is not None:
            self._stop(bad)
            return
        functions = history.functions
        measured = (
            measure(self._network, *self._data, functions, self._weights) if functions else {}
        )
        validated = self._validated()
        self._record_epochs(measured | validated)
        # Callbacks must not take parameters that are not finite for the best ones.
        last = history.epochs == self._settings.epochs
        if self._settings.callbacks or last or not all(map(math.isfinite, validated.values())):
            self._expect_finite()

    def _epochs_of_one_step(self, after: Callable[[int], None]) -> None:
        """Train for some epochs between whose steps nothing happens, so that they run together."""
        history, guard = self._history, self._guard
        until = epochs = self._settings.epochs
        if guard is not None:
            guard.keep(len(history.step_losses))
            until = min(epochs, history.epochs + self._apart)
        try:
            bad = self._train(until, after)
        finally:
            self._record_epochs()
        if bad is not None:
            self._stop(bad)
        elif history.epochs == epochs:
            self._expect_finite()

    def _stop(self, bad: BadStep) -> None:
        """End the training at a step whose loss is not finite, which has changed no parameter."""
        assert self._guard is not None
        with interrupts.held_to_the_end():  # the history says what the network is
            self._history.diverged = self._guard.stop(bad)
            self._record_steps(np.array([bad.loss]), np.array([bad.correct]))

    def _expect_finite(self) -> None:
        """End the training if a parameter is not finite."""
        if self._guard is not None:
            with interrupts.held_to_the_end():
                losses = self._history.step_losses
                self._history.diverged = self._guard.stop_after(losses)

    def _again(self, first: int, end: int) -> None:
        """Do steps again."""
        history = self._history
        size, steps = history.batch_size, history.steps_per_epoch
        rows = None if self._rows is None else self._rows.copy()
        while first < end:
            epoch, done = divmod(first, steps)
            stop = min(end, first - done + steps)
            if rows is not None and history.shuffle:
                ops.permutation(history.samples, history.seed, epoch, out=rows)
            part = None if rows is None else rows[done * size : (done + stop - first) * size]
            rates = self._runner.rate() * factors_of(self._schedule, first, stop)
            hits = np.empty(rates.size, np.int64)
            self._executor.run(part, size, rates, np.empty(rates.size), hits)
            first = stop

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

    def _train(self, until: int, after: Callable[[int], None]) -> BadStep | None:
        """Carry out the steps that are left before epoch `until`, counted from 0.

        Return the one that ends the training, if any.
        """
        history, rows, callbacks = self._history, self._rows, self._settings.callbacks
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
                bad = self._runner.run(part, factors[begin - first : stop - first], begin, after)
            finally:
                history.state.elapsed += compiling.clock() - start
            if bad is not None:
                return bad
            for callback, wanted in zip(callbacks, stops, strict=True):
                if wanted == stop:
                    self._call(callback.on_steps_end, stop)
            begin = stop
        return None

    def _validated(self) -> dict[str, float]:
        """Return loss, accuracy and metrics of the validation data; nothing if there are none."""
        if self._held_out is None:
            return {}
        for name, array in zip("xt", self._held_out, strict=True):
            expect_whole(f"validation {name}", array)
        averages = self._history.averages if self._settings.validate_averages else None
        functions = self._history.functions
        if averages is None:
            values = evaluate(self._network, *self._held_out, functions, weights=self._of_held_out)
        else:
            given = self._network, averages, self._data[0]
            values = evaluate_averages(*given, *self._held_out, functions, self._of_held_out)
        loss = values[0]
        if not (math.isfinite(loss) or self._told):
            self._told = True
            self._warn_of_validation(loss, self._held_out)
        names = "loss", "accuracy", *(metric.name for metric in functions)
        return {f"val_{name}": value for name, value in zip(names, values, strict=True)}

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

    def _record_epochs(self, measured: Mapping[str, float] = MappingProxyType({})) -> None:
        """Record the epochs that have all their steps by now; what was measured is the last one's.

        What the history does not keep is left out.
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
        values |= {name: [value] for name, value in measured.items()}
        with interrupts.held():  # all lists or none
            for name in (*history.metrics, "lr", "seconds"):
                history[name].extend(values[name])
            history.state.elapsed = 0.0


def _stop(callback: Callback, done: int) -> int | None:
    """Return the step after which a callback is to be called next."""
    stop = callback.next_stop(done)
    if stop is None:
        return None
    return numbers.integer(f"{type(callback).__name__}.next_stop({done})", stop, done + 1)
