"""The solver "lbfgs": SciPy's L-BFGS-B on all samples."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import scipy.optimize

from fastnn._utils.types import Array, Float64s
from fastnn.sklearn.sparse import blocks
from fastnn.sklearn.steps import squares

_ROWS = 1024  # that go through the layers at a time, which are then quick to take memory for


class Objective:
    """Loss and gradient as functions of one vector, the arrays of ``network.params`` in turn.

    Parameters
    ----------
    network : Network
        Of float64: near a minimum losses differ by less than float32 can tell.
    x, t
        Samples, and targets as the loss of the network takes them.
    mass : float
        Number of samples, or sum of their weights, that the loss is a mean over.
    alpha : float
    """

    def __init__(self, network: Any, x: Any, t: Array, mass: float, alpha: float) -> None:
        self._network, self._x, self._t = network, x, t
        self._mass, self._penalty = mass, alpha / mass
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
        return 0.5 * self._penalty * squares(list(self._matrices.values()))

    def __call__(self, vector: Float64s) -> tuple[float, Float64s]:
        """Return loss and gradient."""
        self.set(vector)
        loss, begin = 0.0, 0
        total = {key: np.zeros_like(p) for key, p in self._network.params.items()}
        with np.errstate(all="ignore"):
            for block in blocks(self._x, _ROWS):
                t = self._t[begin : begin + len(block)]
                share = self._share(t)
                for key, g in self._network._gradient(block, t).items():
                    total[key] += share * g
                loss += share * self._network.last_layer.loss
                begin += len(block)
            for key, W in self._matrices.items():
                total[key] += self._penalty * W
            gradient = np.concatenate([g.ravel() for g in total.values()])
            self.last = loss + self.penalty()
            return self.last, gradient

    def _share(self, t: Array) -> float:
        """Return which share of the mean over all samples that over some has."""
        if len(t) == len(self._t):
            return 1.0
        weighted = getattr(self._network.last_layer, "weighted", False)
        return float(t[:, -1].sum() if weighted else len(t)) / self._mass


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
