"""The training loss as a function of one vector."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn import layers
from fastnn._messages import compiling
from fastnn._utils.types import Float64s
from fastnn.layers.state import set_statistics
from fastnn.networks.copies import expect_network
from fastnn.second_order.minimization import Minimization, Watcher
from fastnn.training.data import samples


class End(Exception):
    """Ends a minimisation; its text says why."""


class Objective:
    """The training loss and its gradient as functions of one vector.

    Attributes
    ----------
    at : ndarray of float64, shape (P,)
        The parameters one after the other, as of the last iteration.
    last : (float, ndarray)
        Loss and gradient of the last evaluation.
    """

    def __init__(
        self, method: str, network: Any, x: ArrayLike, t: ArrayLike, callback: Watcher | None
    ) -> None:
        self.network = expect_network("network", network, x)
        for name, layer in network.layers.items():
            if isinstance(layer, layers.Dropout) and layer.dropout_ratio > 0:
                raise ValueError(
                    f"network: expected one without dropout, which makes the loss random, "
                    f"got {name}"
                )
        if callback is not None and not callable(callback):
            raise TypeError(f"callback: expected a function, got {callback!r}")
        x, self._t = samples(network, x, t)
        self._x = x.astype(network.dtype, copy=False)
        self._callback = callback
        self._start = compiling.clock()
        self.evaluations = 0
        self.most: int | None = None
        self.record = Minimization(method)
        self.at = np.concatenate([p.ravel() for p in network.params.values()], dtype=np.float64)

    def set(self, theta: Float64s) -> None:
        """Write a vector to the parameters."""
        begin = 0
        for p in self.network.params.values():
            p[...] = theta[begin : begin + p.size].reshape(p.shape)
            begin += p.size

    def __call__(self, theta: Float64s) -> tuple[float, Float64s]:
        """Return loss and gradient."""
        if self.evaluations == self.most:
            raise End(f"the limit of {self.most} evaluations is reached")
        self.set(theta)
        grads = self.network.gradient(self._x, self._t)
        self.evaluations += 1
        data = self.network.last_layer.loss
        assert data is not None
        flat = [grads[key].ravel() for key in self.network.params]
        self.last = data + self.network._penalty(), np.concatenate(flat, dtype=np.float64)
        return self.last

    def accept(self, theta: Float64s) -> None:
        """Record an iteration that ended at the last evaluation; raise End if it is enough."""
        self.at = theta.copy()
        loss, gradient = self.last
        record = self.record
        record.loss.append(loss)
        record.gradient_norm.append(float(np.abs(gradient).max()))
        record.evaluations.append(self.evaluations)
        record.seconds.append(compiling.clock() - self._start)
        if self._callback is not None and self._callback(record):
            raise End("the callback ended it")

    def begin(self) -> None:
        """Evaluate and record the start."""
        loss, gradient = self(self.at)
        if not (np.isfinite(loss) and np.isfinite(gradient).all()):
            raise ValueError(f"network: expected a finite loss and gradient, got a loss of {loss}")
        self.accept(self.at)

    def finish(self) -> None:
        """Leave the network with the parameters of the last iteration."""
        self.set(self.at)
        set_statistics(self.network, self._x)
