"""Callbacks of :mod:`fastnn.callbacks` in a training of an estimator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastnn._messages import compiling
from fastnn.layers.adoption import refresh
from fastnn.training.callbacks import Callback
from fastnn.training.history import History

_MANY = 1 << 62  # steps


class Watch:
    """Calls the callbacks, and keeps the history that they look at.

    Parameters
    ----------
    callbacks : iterable of Callback
    network : Network
    optimizer : Optimizer
    history : History
        Begun for this training.
    """

    def __init__(
        self, callbacks: Iterable[Callback], network: Any, optimizer: Any, history: History
    ) -> None:
        self._callbacks, self._network, self.history = list(callbacks), network, history
        for callback in self._callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks: expected objects of type Callback, got {callback!r}")
            callback.network, callback.optimizer = network, optimizer
            callback.history = history
        network.history = history
        self._start = compiling.clock()
        self._stops: list[int | None] = []

    def begin(self) -> None:
        """Tell that training begins."""
        for callback in self._callbacks:
            callback.on_train_begin()
        refresh(self._network)

    def steps_ahead(self) -> int:
        """Return how many steps there are until a callback is to be called, at most."""
        done = len(self.history.step_losses)
        self._stops = [callback.next_stop(done) for callback in self._callbacks]
        return min((stop - done for stop in self._stops if stop is not None), default=_MANY)

    def steps_end(self, losses: list[float]) -> None:
        """Record steps, and tell callbacks of the last one that stop there."""
        self.history.step_losses += losses
        done = len(self.history.step_losses)
        for callback, stop in zip(self._callbacks, self._stops, strict=True):
            if stop == done:
                callback.on_steps_end(done)
                refresh(self._network)

    def epoch_ends(self, lr: float, **values: float) -> bool:
        """Record an epoch, and tell of it; say whether a callback ends the training."""
        history, now = self.history, compiling.clock()
        for name in history.metrics:
            getattr(history, name).append(values[name])
        history.lr.append(lr)
        history.seconds.append(now - self._start)
        ends = [callback.on_epoch_end(history.epochs) for callback in self._callbacks]
        refresh(self._network)
        self._start = compiling.clock()
        return any(ends)

    def end(self) -> None:
        """Tell that training has ended."""
        for callback in self._callbacks:
            callback.on_train_end()
        refresh(self._network)

    def interrupted(self) -> None:
        """Tell that Ctrl-C has ended it."""
        self.history.interrupted = True
        for callback in self._callbacks:
            callback.on_interrupt()
