"""The solver "lbfgs": SciPy's L-BFGS-B on all samples."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import scipy.optimize

from fastnn._utils.types import Array, Float64s
from fastnn.sklearn.sparse import blocks

_ROWS = 1024  # that go through the layers at a time, which are then quick to take memory for


class Objective:
    """Loss and gradient as functions of one vector, the arrays of ``network.params`` in turn.

    Parameters
    ----------
    network : Network
        Of float64: near a minimum losses differ by less than float32 can tell.
    x, t
        Samples, and targets as the loss of the network takes them.
    weights : ndarray of float64, shape (N,), or None
        Of samples.
    alpha : float
    """

    def __init__(
        self, network: Any, x: Any, t: Array, weights: Float64s | None, alpha: float
    ) -> None:
        self._network, self._x, self._t, self._weights = network, x, t, weights
        self._mass = float(len(t) if weights is None else weights.sum())
        self._penalty = alpha / self._mass
        network.weight_decay_lambda = 0
        self._matrices = network._weights()
        self.last = np.nan

    @property
    def vector(self) -> Float64s:
        """The parameters."""
        return np.concatenate([p.ravel() for p in self._network.params.values()])

    def set(self, vector: Float64s) -> None:
        """Write a vector to the parameters."""
        begin = 0
        for p in self._network.params.values():
            p[...] = vector[begin : begin + p.size].reshape(p.shape)
            begin += p.size

    def penalty(self) -> float:
        """Return what weights add to the loss."""
        return (
            0.5
            * self._penalty
            * sum(float(np.einsum("ij,ij->", W, W)) for W in self._matrices.values())
        )

    def __call__(self, vector: Float64s) -> tuple[float, Float64s]:
        """Return loss and gradient."""
        self.set(vector)
        loss, begin = 0.0, 0
        total = {key: np.zeros_like(p) for key, p in self._network.params.items()}
        with np.errstate(all="ignore"):
            for block in blocks(self._x, _ROWS):
                rows = slice(begin, begin + len(block))
                share = self._share(rows)
                w = None if self._weights is None else self._weights[rows]
                for key, g in self._network._gradient(block, self._t[rows], w).items():
                    total[key] += share * g
                loss += share * self._network.last_layer.loss
                begin += len(block)
            for key, W in self._matrices.items():
                total[key] += self._penalty * W
            gradient = np.concatenate([g.ravel() for g in total.values()])
            self.last = loss + self.penalty()
            return self.last, gradient

    def _share(self, rows: slice) -> float:
        """Return which share of the mean over all samples that over some has."""
        count = rows.stop - rows.start
        if count == len(self._t):
            return 1.0
        return float(count if self._weights is None else self._weights[rows].sum()) / self._mass


def minimize(objective: Objective, estimator: Any) -> Any:
    """Return what SciPy found, with the options that scikit-learn gives it."""
    iteration = itertools.count(1)

    def after(vector: Float64s) -> None:
        if estimator.verbose:  # the last evaluation is that of the new point
            print(f"Iteration {next(iteration)}, loss = {objective.last:.8f}")

    return scipy.optimize.minimize(
        objective,
        objective.vector,
        method="L-BFGS-B",
        jac=True,
        callback=after,
        options={
            "maxfun": estimator.max_fun,
            "maxiter": estimator.max_iter,
            "gtol": estimator.tol,
        },
    )
