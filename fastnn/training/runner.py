"""Stretches of training steps, carried out by an executor."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fastnn._messages import compiling
from fastnn._utils import interrupts
from fastnn._utils.mapped import expect_whole
from fastnn._utils.types import Float64s, Int64s, Samples
from fastnn._utils.warnings import warn
from fastnn.optimizers.updater import Updater, rate_of
from fastnn.program.executor import Executor
from fastnn.training.data import not_finite
from fastnn.training.divergence import BadStep, DivergenceWarning

# Seconds that a stretch should take: the progress bar moves, and Ctrl-C comes through, at least
# twice a second, and what happens between stretches does not count.
STRETCH = 0.15

_GROWTH = 8  # of a stretch over the last one, which may have been slow for a reason of its own


class Runner:
    """Carries out steps in stretches, and tells of each stretch.

    Parameters
    ----------
    executor : Executor
    optimizer : Updater
    batch_size, steps_per_epoch : int
    record : function of (losses, correct)
        Called after each stretch, also one that an exception ended, with what its steps gave.
    data : dict of str to ndarray
        Samples and targets, by what a warning calls them.
    stops : bool
        Whether the executor stops at a loss that is not finite. Otherwise there is a warning, once.
    """

    def __init__(
        self,
        executor: Executor,
        optimizer: Updater,
        batch_size: int,
        steps_per_epoch: int,
        record: Callable[[Float64s, Int64s], None],
        data: dict[str, Samples],
        stops: bool,
    ) -> None:
        self.executor = executor
        self._data = data
        self._last_rows: Int64s | None = None  # of the last step of the stretch before
        self._optimizer = optimizer
        self._batch_size = batch_size
        self._steps_per_epoch = steps_per_epoch
        self._record = record
        self._length = 1
        self._stops = stops
        self._told = False  # of a loss that is not finite

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
    ) -> BadStep | None:
        """Carry out all steps of these rows; return the one that it has stopped at, if any.

        Parameters
        ----------
        rows : ndarray of int64, or None
            None: each step takes all samples.
        factors : ndarray of float64, shape (steps,)
            On the learning rate of the optimizer.
        first : int
            Number of the first step, counted from 0.
        after : function of int, optional
            Called after each stretch with its number of samples.
        """
        size, begin = self._batch_size, 0
        losses, correct = np.zeros(factors.size), np.zeros(factors.size, np.int64)
        while begin < factors.size:
            part = slice(begin, min(begin + self._length, factors.size))
            batch = None if rows is None else rows[begin * size : part.stop * size]
            rates = factors[part] * self.rate()
            start = compiling.clock()
            for name, array in self._data.items():
                expect_whole(name, array)
            with interrupts.held():
                try:
                    self.executor.run(batch, size, rates, losses[part], correct[part])
                finally:
                    end = begin + self.executor.done
                    self._record(losses[begin:end], correct[begin:end])
            seconds = compiling.clock() - start
            steps = part.stop - begin
            done = losses[part], correct[part]
            bad = None if self._told else self._bad(*done, first + begin, rates, batch)
            if bad is not None and self._stops:
                return bad
            if bad is not None:
                self._told = True
                warn(bad.text, DivergenceWarning)
            after(steps * size if batch is None else batch.size)
            if steps == self._length:  # not one that the end cut short
                growth = min(_GROWTH, STRETCH / max(seconds, 1e-9))
                self._length = max(1, int(self._length * growth))
            begin = part.stop
        return None

    def _bad(
        self,
        losses: Float64s,
        correct: Int64s,
        first: int,
        rates: Float64s,
        batch: Int64s | None,
    ) -> BadStep | None:
        """Return the first of these steps whose loss is not finite, if any."""
        if bool(np.isfinite(losses).all()):
            last = (losses.size - 1) * self._batch_size
            self._last_rows = None if batch is None else batch[last:].copy()
            return None
        i = int(np.flatnonzero(~np.isfinite(losses))[0])
        rows, before = None, self._last_rows
        if batch is not None:
            end = i * self._batch_size
            rows = batch[end : end + self._batch_size]
            before = batch[end - self._batch_size : end] if i else before
        cause, of_data = self._cause(first + i, rates[i], rows, before)
        text = (
            f"the loss became {losses[i]} in epoch {(first + i) // self._steps_per_epoch + 1}, "
            f"step {first + i + 1}; {cause}"
        )
        loss, right = float(losses[i]), int(correct[i])
        return BadStep(first + i, loss, right, rows, before, text, of_data)

    def _cause(
        self, step: int, rate: float, rows: Int64s | None, before: Int64s | None
    ) -> tuple[str, bool]:
        """Return why a loss is not finite, and whether that is samples', or the step before's."""
        if rows is not None and before is not None:
            rows = np.concatenate([rows, before])
        for name, data in self._data.items():
            found = not_finite(name, data, rows)
            if found:
                return f"there is {found}, which no learning rate helps with", True
        if step == 0:
            cause = "before any update: initial parameters, samples or targets may be too large"
            return cause, False
        return f"the learning rate{'' if math.isnan(rate) else f' {rate}'} may be too high", False
