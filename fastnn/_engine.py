"""What `fit` and `Trainer` share: the choice of a route, and stretches of steps on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastnn import _compiling as compiling
from fastnn import _interrupts as interrupts
from fastnn import _numbers as numbers
from fastnn._bars import Progress
from fastnn._layer_parameters import is_ours, refresh
from fastnn._layerwise import LayerSteps
from fastnn._route import (
    Float64s,
    Int64s,
    Network,
    Route,
    Samples,
    StepSettings,
    Unsupported,
    Updater,
    rate_of,
)
from fastnn._samples import not_finite
from fastnn._warnings import warn
from fastnn.ops._dispatch import compiled
from fastnn.optimizers import OPTIMIZERS
from fastnn.program import Program

# Seconds that a stretch should take: the progress bar moves, and Ctrl-C comes through, at least
# twice a second, and what happens between stretches does not count.
STRETCH = 0.15
_GROWTH = 8  # of a stretch over the last one, which may have been slow for a reason of its own


def choose(
    network: Network,
    optimizer: Updater,
    x: Samples,
    t: Samples,
    batch_size: int,
    settings: StepSettings,
) -> Route:
    """Return the compiled program where there is one, else the route through the layers."""
    refresh(network)
    if is_ours(network) and not network.params:
        raise ValueError("network: expected layers with parameters, got none that has any")
    if compiled():
        try:
            return Program(network, optimizer, x, t, batch_size, settings)
        except Unsupported as error:
            reason = str(error)
    else:
        reason = "the backend is numpy"
    return LayerSteps(network, optimizer, x, t, batch_size, settings, reason)


def optimizer_of(optimizer: Any, settings: Mapping[str, Any]) -> Updater:
    """Return an optimizer that is named, made with the settings, or the one that is given."""
    if isinstance(optimizer, str):
        name = numbers.one_of("optimizer", optimizer.lower(), tuple(OPTIMIZERS))
        return OPTIMIZERS[name](**settings)
    if isinstance(optimizer, type) or not callable(getattr(optimizer, "update", None)):
        raise TypeError(
            "optimizer: expected a name or an optimizer, an object with update(params, grads), "
            f"got {optimizer!r}"
        )
    return optimizer  # type: ignore[no-any-return]


def samples_bar(route: Route, total: int, done: int, show: bool) -> Progress:
    """Return the progress bar of a training, which starts when its program is compiled."""
    if done < total:
        route.prepare()
    # Without miniters it waits for as many samples as the last stretch had.
    progress = Progress(
        total, " samples", show, done=done, lines=False, unit_scale=True, miniters=1
    )
    if route.reason:
        progress.write(f"training layer by layer: {route.reason}")
    return progress


class Runner:
    """Carries out steps in stretches, and tells of each stretch.

    Parameters
    ----------
    route : Route
    optimizer : Updater
    batch_size, steps_per_epoch : int
    record : function of (losses, hits)
        Called after each stretch, also one that an exception ended, with what its steps gave.
    data : dict of str to ndarray
        Samples and targets, by what a warning calls them.
    """

    def __init__(
        self,
        route: Route,
        optimizer: Updater,
        batch_size: int,
        steps_per_epoch: int,
        record: Callable[[Float64s, Int64s], None],
        data: dict[str, Samples],
    ) -> None:
        self.route = route
        self._data = data
        self._last_rows: Int64s | None = None  # of the last step of the stretch before
        self._optimizer = optimizer
        self._batch_size = batch_size
        self._steps_per_epoch = steps_per_epoch
        self._record = record
        self._length = 1
        self._diverged = False

    def rate(self) -> float:
        """Return the learning rate of the optimizer; NaN if it has none."""
        rate = rate_of(self._optimizer)
        return math.nan if rate is None else rate

    def run(
        self,
        rows: Int64s | None,
        factors: Float64s,
        first: int,
        after: Callable[[int], None] = lambda samples: None,
    ) -> None:
        """Carry out all steps of these rows.

        Parameters
        ----------
        rows : ndarray of int64, or None
            None: each step takes all samples.
        factors : ndarray of float64, shape (steps,)
            On the learning rate of the optimizer.
        first : int
            Number of the first step, from 0 up.
        after : function of int, optional
            Called after each stretch with its number of samples.
        """
        size, begin = self._batch_size, 0
        losses, hits = np.zeros(factors.size), np.zeros(factors.size, np.int64)
        while begin < factors.size:
            part = slice(begin, min(begin + self._length, factors.size))
            batch = None if rows is None else rows[begin * size : part.stop * size]
            rates = factors[part] * self.rate()
            start = compiling.clock()
            with interrupts.held():
                try:
                    self.route.run(batch, size, rates, losses[part], hits[part])
                finally:
                    done = slice(begin, begin + self.route.done)
                    self._record(losses[done], hits[done])
            seconds = compiling.clock() - start
            steps = part.stop - begin
            self._warn(losses[part], first + begin, rates, batch)
            after(steps * size if batch is None else batch.size)
            if steps == self._length:  # not one that the end cut short
                growth = min(_GROWTH, STRETCH / max(seconds, 1e-9))
                self._length = max(1, int(self._length * growth))
            begin = part.stop

    def _warn(self, losses: Float64s, first: int, rates: Float64s, batch: Int64s | None) -> None:
        if self._diverged:
            return
        if bool(np.isfinite(losses).all()):
            self._last_rows = None if batch is None else batch[-self._batch_size :].copy()
            return
        self._diverged = True
        i = int(np.flatnonzero(~np.isfinite(losses))[0])
        warn(
            f"the loss became {losses[i]} in epoch {(first + i) // self._steps_per_epoch + 1}, "
            f"step {first + i + 1}; {self._cause(i, first + i, rates[i], batch)}",
            RuntimeWarning,
        )

    def _cause(self, i: int, step: int, rate: float, batch: Int64s | None) -> str:
        """Return why a loss is not finite: what its samples say, or those of the step before."""
        rows = None
        if batch is not None:
            size = self._batch_size
            parts = [batch[i * size : (i + 1) * size], batch[max(0, i - 1) * size : i * size]]
            if i == 0 and self._last_rows is not None:
                parts[1] = self._last_rows
            rows = np.concatenate(parts)
        for name, data in self._data.items():
            found = not_finite(name, data, rows)
            if found:
                return f"there is {found}, which no learning rate helps with"
        if step == 0:
            return "before any update: the initial parameters or the samples may be too large"
        return f"the learning rate{'' if math.isnan(rate) else f' {rate}'} may be too high"


def mean_text(losses: list[float]) -> str:
    """Return the mean of some losses, for the progress bar."""
    return f"{math.fsum(losses) / len(losses):.4f}" if all(map(math.isfinite, losses)) else "nan"
