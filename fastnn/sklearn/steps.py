"""The steps of an epoch, with the penalty as scikit-learn takes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._utils.interrupts import Interrupt
from fastnn._utils.types import Array, Float64s, Int64s
from fastnn.program.executor import StepSettings
from fastnn.sklearn.losses import Loss
from fastnn.sklearn.watching import Watch
from fastnn.training.choice import choose

# Steps of one call, at most: Ctrl-C comes through between calls.
TOGETHER = 256


class Steps:
    """Carries out epochs of steps.

    scikit-learn divides the penalty on weights, alpha / 2 sum(W^2), by the samples of the batch, or
    by the sum of their weights, and reports it as part of the loss.

    Parameters
    ----------
    network : Network
    optimizer : Optimizer
    x, t
        Samples, and targets as the loss of the network takes them.
    weights : ndarray of float64, shape (N,), or None
        Of samples.
    batch_size : int
    loss : Loss
    settings : StepSettings
    """

    def __init__(
        self,
        network: Any,
        optimizer: Any,
        x: Any,
        t: Array,
        weights: Float64s | None,
        batch_size: int,
        loss: Loss,
        settings: StepSettings,
    ) -> None:
        self._weights, self._batch_size, self._n = weights, batch_size, len(x)
        network.weight_decay_lambda = 0
        self.executor = choose(network, optimizer, x, t, batch_size, settings, weights)
        self._reported = loss.reported(network.output_size)

    def epochs(
        self,
        count: int,
        rows: Int64s,
        rates: Float64s,
        interrupt: Interrupt,
        watch: Watch | None = None,
    ) -> tuple[Float64s, Float64s]:
        """Take a step on each batch of these rows; return the losses of the epochs.

        Parameters
        ----------
        count : int
            Of epochs; several are one call, and have `TOGETHER` steps at most.
        rows : ndarray of int64
            The samples of all epochs.
        rates : ndarray of float64
            Learning rates, one a step.
        interrupt : Interrupt
            Is let through between steps of a single epoch.
        watch : Watch, optional

        Returns
        -------
        reported, alone : ndarray of float64, shape (count,)
            The mean over samples of the losses of their batches, each before the update of its
            step: as scikit-learn reports it, and as the network has it, without penalty.
        """
        size, steps, n = self._batch_size, rates.size, rows.size // count
        losses, penalties, correct = np.zeros(steps), np.zeros(steps), np.zeros(steps, np.int64)
        counts = np.tile(np.diff(np.arange(0, n, size), append=n), count)
        if self._weights is not None:
            self._expect_mass(self._weights[rows], counts)
        begin = 0
        while begin < steps:
            end = min(steps, begin + TOGETHER)
            if watch is not None:
                end = min(end, begin + watch.steps_ahead())
            part = slice(begin, end)
            # A step on all samples takes them as they stand.
            taken = None if size == self._n else rows[begin * size : end * size]
            given = rates[part], losses[part], correct[part]
            self.executor.run(taken, size, *given, count, penalties[part])
            if watch is not None:
                watch.steps_end(losses[part].tolist())
            if count == 1:
                interrupt.release()
            begin = end
        with np.errstate(all="ignore"):
            shares = counts * (count / rows.size)
            found = losses * self._reported + penalties, losses
            reported, alone = ((values * shares).reshape(count, -1).sum(axis=1) for values in found)
            return reported, alone

    @staticmethod
    def _expect_mass(weights: Float64s, counts: Int64s) -> None:
        """Raise ValueError if the weights of the samples of a batch are 0 altogether."""
        least = np.add.reduceat(weights, np.cumsum(counts) - counts).min()
        if least <= 0:
            raise ValueError(
                f"sample_weight: expected a sum above 0 in each batch, got {least} in one"
            )
