"""A training to be compared or timed: its data, its learning rate, the order of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import ops
from fastnn._bench.case import Variant
from fastnn._bench.training.spec import Spec

# The learning rate while times are taken: thousands of steps leave the network as it was. One that
# has learnt its data by heart has gradients near zero, and those take another time.
STILL = 1e-7

# Before kinks and signs that rounding decides take over.
STEPS_COMPARED = 8


@dataclass
class Problem:
    """What a library is given.

    Attributes
    ----------
    spec : Spec
    x, t : ndarray
    lr : float
        Learning rate.
    epochs : int
        Passes over the data in a run.
    seed : int
        Chooses the order of samples.
    """

    spec: Spec
    x: NDArray[Any]
    t: NDArray[Any]
    lr: float
    epochs: int = 1
    seed: int = 0

    def orders(self) -> Iterator[NDArray[np.int64] | None]:
        """Yield orders of the samples, that of ``fit`` first; None if all are one batch."""
        n = len(self.x)
        if self.spec.batch == n:
            while True:
                yield None
        yield ops.permutation(n, self.seed, 0)
        rng = np.random.default_rng(self.seed)
        while True:
            yield rng.permutation(n)


def problem(spec: Spec, steps: int, lr: float, epochs: int = 1) -> tuple[Problem]:
    """Return a problem of random samples with random labels, as the only argument.

    Samples are standardised: with means other than zero a part of the units is dead for all
    of them, and the state of their weights decays to denormal numbers, at which PyTorch and NumPy
    get slow (the family "optimizers" measures that).
    """
    rng = np.random.default_rng(1)
    shape = steps * spec.batch, spec.widths[0]
    x = rng.standard_normal(shape).astype(spec.dtype)
    if spec.loss == "cross_entropy":
        t = rng.integers(spec.widths[-1], size=shape[0])
    else:
        t = rng.standard_normal((shape[0], spec.widths[-1])).astype(spec.dtype)
    return (Problem(spec, x, t, lr, epochs),)


def in_epochs(api: str, training: Any, given: Problem) -> Variant:
    """Return a training as a variant, for libraries that do an epoch in a call."""
    orders = given.orders()
    losses: list[Any] = []

    def run() -> list[Any]:
        losses[:] = [training.epoch(given.lr, next(orders)) for _ in range(given.epochs)]
        return []

    return Variant(api, run, results_of(training, losses))


def results_of(training: Any, losses: list[Any]) -> Callable[[], list[Any]]:
    """Return what reads the results of a training: losses and parameters."""
    return lambda: [np.ravel(losses), *training.parameters()]
