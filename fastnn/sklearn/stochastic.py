"""The solvers "sgd" and "adam": epochs of steps, and when they end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from fastnn._utils import interrupts
from fastnn._utils.interrupts import Interrupt
from fastnn._utils.types import Array, Float64s, Int64s
from fastnn._utils.warnings import warn
from fastnn.layers.state import set_statistics
from fastnn.program.executor import StepSettings
from fastnn.sklearn.losses import Loss
from fastnn.sklearn.solvers import solver_of
from fastnn.sklearn.sparse import as_samples
from fastnn.sklearn.steps import TOGETHER, Steps
from fastnn.sklearn.watching import Watch
from fastnn.training import schedules
from fastnn.training.factors import factors_of
from fastnn.training.history import History
from fastnn.training.weights import Weights

_OF_STATISTICS = 1 << 12  # samples, at most, that statistics of normalisation are taken of


@dataclass(frozen=True)
class Data:
    """What is trained or validated on.

    Attributes
    ----------
    X : ndarray or sparse matrix, shape (N, D)
    y : ndarray
        As predictions are compared with it.
    t : ndarray
        Targets of the loss: numbers of classes (N,), or rows (N, C).
    weights : ndarray of float64, shape (N,), or None
    """

    X: Any
    y: Array
    t: Array
    weights: Float64s | None

    def of(self, rows: Int64s) -> Data:
        """Return the part with these rows, a copy."""
        weights = None if self.weights is None else self.weights[rows]
        return Data(self.X[rows], self.y[rows], self.t[rows], weights)


def fit_stochastic(
    estimator: Any,
    data: Data,
    random_state: np.random.RandomState,
    incremental: bool,
    held_out: Data | None,
) -> None:
    """Train an estimator that has its initial values.

    Parameters
    ----------
    estimator : estimator
    data : Data
    random_state : RandomState
    incremental : bool
        Whether it is one epoch with the solver of the last call.
    held_out : Data or None
        What to validate on.
    """
    if incremental and estimator.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True")
    if incremental and estimator.ema is not None:
        raise ValueError("partial_fit does not support ema, which would begin anew in each call")
    if not incremental or not hasattr(estimator, "_optimizer"):
        estimator._optimizer = solver_of(estimator)
    rows = np.arange(data.X.shape[0])
    if estimator.early_stopping and held_out is None:
        rows, validated = _split(estimator, data, random_state)
        held_out = data.of(validated)
    _Epochs(estimator, data, rows, random_state, held_out).run(incremental)


def _split(
    estimator: Any, data: Data, random_state: np.random.RandomState
) -> tuple[Int64s, Int64s]:
    """Return the numbers of the samples to train on and of those to validate on."""
    found = train_test_split(
        np.arange(data.X.shape[0]),
        random_state=random_state,
        test_size=estimator.validation_fraction,
        stratify=estimator._strata(data.t),
    )
    if len(found[1]) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            "dataset."
        )
    return found[0], found[1]


class _Epochs:
    """Epochs on some rows of the data."""

    def __init__(
        self,
        estimator: Any,
        data: Data,
        rows: Int64s,
        random_state: np.random.RandomState,
        held_out: Data | None,
    ) -> None:
        self._estimator, self._data, self._rows = estimator, data, rows
        self._random_state, self._held_out = random_state, held_out
        self._solver = estimator._optimizer
        self._loss: Loss = estimator._loss_entry
        self._batch_size = _batch_size(estimator, len(rows))
        self._steps_per_epoch = -(-len(rows) // self._batch_size)
        self._schedule = estimator.schedule
        if self._schedule is not None:
            self._schedule = schedules.in_steps(self._schedule, self._steps_per_epoch)
        self._network = estimator._linked(self._loss.known)
        self._samples = as_samples(data.X)
        self._steps = Steps(
            self._network,
            self._solver.optimizer,
            self._samples,
            data.t,
            data.weights,
            self._batch_size,
            self._loss,
            StepSettings(
                clip_norm=estimator.clip_norm, ema=estimator.ema, alpha=float(estimator.alpha)
            ),
        )
        self._watch: Watch | None = None
        if estimator.callbacks:
            given = estimator.callbacks, self._network, self._solver.optimizer
            self._watch = Watch(*given, self._history())
        if estimator.early_stopping and not hasattr(estimator, "_best"):
            estimator._best = Weights(self._network, statistics_only=True)

    def _history(self) -> History:
        """Return a history for callbacks to look at."""
        metrics = ["loss"]
        if self._held_out is not None:
            metrics.append("val_loss")
            if is_classifier(self._estimator):
                metrics.append("val_accuracy")
        history = History(tuple(metrics), len(self._rows), self._batch_size, 0)
        history.route, history.reason = self._steps.executor.name, self._steps.executor.reason
        history.state.averages = self._steps.executor.averages
        return history

    def run(self, incremental: bool) -> None:
        """Train until nothing improves, for `max_iter` epochs at most, or for one."""
        estimator = self._estimator
        estimator.n_iter_ = 0
        most = 1 if incremental else estimator.max_iter
        watch = self._watch
        try:
            if watch is not None:
                watch.begin()
            if not incremental:  # `partial_fit` is quick, and has most often been called before
                self._steps.executor.prepare()
            with interrupts.held() as interrupt:
                while estimator.n_iter_ < most and self._epochs(most, interrupt):
                    if estimator.n_iter_ == estimator.max_iter and not incremental:
                        warn(
                            f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) "
                            "reached and the optimization hasn't converged yet.",
                            ConvergenceWarning,
                        )
            if watch is not None:
                watch.end()
        except KeyboardInterrupt:
            if watch is not None:
                watch.interrupted()
            warn("Training interrupted by user.", UserWarning)
        if estimator.early_stopping:
            estimator._best.put(self._network, None)
        elif estimator.ema is not None:
            self._take_averages()

    def _together(self, most: int) -> int:
        """Return how many epochs run before training may end or anything looks at it."""
        estimator = self._estimator
        watched = self._watch is not None or self._held_out is not None or estimator.verbose
        if watched:
            return 1
        # Each can make but one more without improvement.
        patience = estimator.n_iter_no_change - estimator._no_improvement_count + 1
        left = most - estimator.n_iter_
        return max(1, int(min(patience, left, TOGETHER // self._steps_per_epoch)))

    def _order(self) -> Int64s:
        """Return the samples of the next epoch in their order."""
        if self._estimator.shuffle:
            order = np.arange(len(self._rows))
            self._random_state.shuffle(order)
            self._rows = self._rows[order]
        return self._rows

    def _epochs(self, most: int, interrupt: Interrupt) -> bool:
        """Train for an epoch or several; say whether to go on."""
        estimator, n, steps = self._estimator, len(self._rows), self._steps_per_epoch
        count = self._together(most)
        rows = [self._order() for _ in range(count)]
        begin = estimator.n_iter_ * steps
        rates = factors_of(self._schedule, begin, begin + count * steps).reshape(count, -1)
        # What comes after the first epoch of a call depends on the number of samples alone.
        following = [self._solver.rate_after(estimator.t_ + i * n) for i in range(1, count)]
        rates = rates * np.array([self._solver.learning_rate, *following])[:, np.newaxis]
        given = rows[0] if count == 1 else np.concatenate(rows)
        losses = self._steps.epochs(count, given, rates.ravel(), interrupt, self._watch)
        goes_on = True
        for loss, alone in zip(*(each.tolist() for each in losses), strict=True):
            goes_on = self._record(loss, alone, float(rates[0, -1]))
        interrupt.release()
        return goes_on

    def _record(self, loss: float, alone: float, rate: float) -> bool:
        """Record an epoch; say whether to go on."""
        estimator = self._estimator
        estimator.n_iter_ += 1
        estimator.loss_ = loss
        estimator.t_ += len(self._rows)
        estimator.loss_curve_.append(loss)
        self._tell(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        validated, score = self._validated()
        self._count_improvement(score)
        self._solver.epoch_ends(estimator.t_)
        ends = self._watch is not None and self._watch.epoch_ends(
            rate, loss=alone, val_loss=validated, val_accuracy=score
        )
        if ends or estimator._no_improvement_count <= estimator.n_iter_no_change:
            return not ends
        what = "Validation score" if estimator.early_stopping else "Training loss"
        goes_on, how = self._solver.goes_on()
        self._tell(
            f"{what} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change} consecutive epochs. {how}"
        )
        if goes_on:
            estimator._no_improvement_count = 0
        return bool(goes_on)

    def _tell(self, text: str) -> None:
        if self._estimator.verbose:
            print(text)

    def _validated(self) -> tuple[float, float]:
        """Record loss and score on what is held out; return them."""
        estimator, held_out = self._estimator, self._held_out
        if held_out is None:
            return math.nan, math.nan
        scores = estimator._scores_of(held_out.X, self._network)
        with np.errstate(all="ignore"):
            value = self._loss.value(scores, held_out.t, held_out.weights)
            score = estimator._score_of(scores, held_out)
        estimator.validation_loss_curve_.append(value)
        if estimator.early_stopping:
            estimator.validation_scores_.append(score)
            self._tell(f"Validation score: {score:f}")
        return value, float(score)

    def _count_improvement(self, score: float) -> None:
        """Count epochs without improvement by more than `tol`, and keep the best weights."""
        estimator = self._estimator
        if estimator.early_stopping:
            best = estimator.best_validation_score_
            worse = score < best + estimator.tol
            if score > best:
                estimator.best_validation_score_ = score
                estimator._best.take(self._network, None)
        else:
            loss, best = estimator.loss_, estimator.best_loss_
            worse = loss > best - estimator.tol
            if loss < best:
                estimator.best_loss_ = loss
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if worse else 0

    def _take_averages(self) -> None:
        """Let the network have the moving averages as its parameters."""
        averages = self._steps.executor.averages
        with interrupts.held():
            for key, average in (averages or {}).items():
                self._network.params[key][...] = average
            n = len(self._rows)
            if self._estimator.batch_norm:
                some = self._rows[:: -(-n // _OF_STATISTICS)]
                set_statistics(self._network, self._samples[some])


def _batch_size(estimator: Any, n: int) -> int:
    if estimator.batch_size == "auto":
        return min(200, n)
    if estimator.batch_size > n:
        warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            UserWarning,
        )
    return min(int(estimator.batch_size), n)
