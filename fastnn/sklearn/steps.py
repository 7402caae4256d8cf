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

# Steps of one call, at most: Ctrl-C comes through between calls. What a penalty adds to the loss is
# known between them, too; float32 takes it as changing evenly from one to the next, over so many
# steps, and fewer where it changes by more than this share of the loss.
TOGETHER, _PENALISED, _EVEN = 256, 16, 1e-5


class Steps:
    """Carries out epochs of steps.

    scikit-learn divides the penalty on weights, alpha / 2 sum(W^2), by the samples of the batch, or
    by the sum of their weights, and reports it as part of the loss. So with a penalty steps run
    together where it is divided by the same; in float64 one by one.

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
    alpha : float
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
        alpha: float,
        settings: StepSettings,
    ) -> None:
        self._network, self._weights, self._alpha = network, weights, alpha
        self._batch_size, self._n = batch_size, len(x)
        network.weight_decay_lambda = 0
        self.executor = choose(network, optimizer, x, t, batch_size, settings, weights)
        outputs = network.output_size
        self._reported = loss.reported(outputs)
        self._matrices = list(network._weights().values())
        self._together = 1 if alpha else TOGETHER
        self._adapts = alpha and network.dtype == np.float32

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
            Of epochs; several have no smaller last batch.
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
        size, steps = self._batch_size, rates.size
        losses, correct = np.zeros(steps), np.zeros(steps, np.int64)
        starts = np.arange(0, rows.size, size)
        counts = np.diff(starts, append=rows.size)
        masses = counts if self._weights is None else self._masses(rows, starts)
        penalties = np.zeros(steps)
        begin = 0
        while begin < steps:
            end = min(steps, begin + self._together)
            if self._alpha:
                end = begin + _same(masses[begin:end])
                factor = self._alpha / masses[begin]
                self._network.weight_decay_lambda = factor
                before = squares(self._matrices)
                penalties[begin] = 0.5 * factor * before
            if watch is not None:
                end = min(end, begin + watch.steps_ahead())
            part, taken = slice(begin, end), rows[begin * size : end * size]
            # A step on all samples takes them as they stand.
            given = None if size == self._n else taken
            self.executor.run(given, size, rates[part], losses[part], correct[part])
            if self._adapts and steps > 1:
                after = squares(self._matrices)
                between = np.linspace(before, after, end - begin, endpoint=False)
                penalties[part] = 0.5 * factor * between
                self._adapt(0.5 * factor * abs(after - before), float(losses[part].mean()))
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

    def _adapt(self, change: float, loss: float) -> None:
        """Let calls take more steps or fewer, by how much the penalty has changed in the last."""
        if change > _EVEN * loss:
            self._together = max(1, self._together // 2)
        elif self._together < _PENALISED:
            self._together *= 2

    def _masses(self, rows: Int64s, starts: Int64s) -> Float64s:
        """Return the sums of the weights of the samples of each batch."""
        assert self._weights is not None
        masses = np.add.reduceat(self._weights[rows], starts)
        if masses.min() <= 0:
            raise ValueError(
                f"sample_weight: expected a sum above 0 in each batch, got {masses.min()} in one"
            )
        return masses


def _same(masses: Float64s | Int64s) -> int:
    """Return how many there are until one differs from the first."""
    if masses.size == 1:
        return 1
    others = masses != masses[0]
    return int(others.argmax()) if others.any() else masses.size


def squares(matrices: list[Array]) -> float:
    """Return the sum of the squares of all numbers, without the threads of BLAS."""
    return sum(float(np.einsum("ij,ij->", W, W)) for W in matrices)
