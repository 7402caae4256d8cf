"""A training to be timed: its data, its learning rate, and what it should lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import ops
from fastnn._bench.case import Arrays, Variant, WrongResultError
from fastnn._bench.training.spec import Spec
from fastnn._bench.training.with_fastnn import Training

# How far the mean loss may be from the reference's, in parts of itself, and the parameters, in
# parts of the way that they went. Rounding alone is far below: it changes 1e-5 of the way in
# float32. But in one of a million cases it decides on which side of a ReLU's kink a sample is;
# where a unit is dead but for that sample, Adam makes full steps of it. 4e-5 and 0.026 were seen
# in epochs of 784-100x4-10 and 784-1024x2-10; in float64, where there are no such cases, 1e-13.
SLACK = {"float32": (1e-3, 0.1), "float64": (1e-8, 1e-8)}

# While times are taken: thousands of steps leave the network as it was. One that has learnt its
# data by heart has gradients near zero, and those take another time.
STILL = 1e-7


@dataclass
class Problem:
    """What a library is given.

    Attributes
    ----------
    spec : Spec
    x, t : ndarray
    lr : float
        Learning rate from here on: libraries look at it at the start of each run.
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


def hold_still(given: Problem) -> None:
    """Have the runs from here on leave the network as it is."""
    given.lr = STILL


def expected(given: Problem) -> Arrays:
    """Return mean loss and parameters after a run of the reference in float64, and initial ones."""
    start = {name: p.astype(np.float64) for name, p in given.spec.initial().items()}
    spec = replace(given.spec, dtype="float64")
    x = given.x.astype(np.float64)
    training = Training(spec, start, x, given.t, backend="numpy", seed=given.seed)
    losses = training.epoch(given.lr, epochs=given.epochs)
    return [np.mean(losses), *training.parameters(), *(start[name] for name in spec.names())]


def agree(results: Arrays, references: Arrays) -> None:
    """Raise unless mean loss and parameters are those expected, within `SLACK`."""
    (loss, *params), count = results, len(results)
    loss_slack, slack = SLACK[str(params[0].dtype)]
    if not abs(loss - references[0]) <= loss_slack * abs(references[0]):
        raise WrongResultError(f"the mean loss is {loss}, expected {references[0]}")
    triples = zip(params, references[1:count], references[count:], strict=True)
    for i, (got, want, start) in enumerate(triples, start=1):
        way = np.linalg.norm(want - start)
        error = np.linalg.norm(got - want) / way if got.shape == want.shape else np.inf
        if not error <= slack:
            raise WrongResultError(
                f"array {i} of the parameters is off by {error:.3g} of the way it went, "
                f"allowed {slack:.3g}"
            )


def in_epochs(api: str, training: Any, given: Problem) -> Variant:
    """Return a training as a variant, for libraries that do an epoch in a call."""
    orders = given.orders()
    losses: list[Any] = []

    def run() -> list[Any]:
        losses[:] = [training.epoch(given.lr, next(orders)) for _ in range(given.epochs)]
        return []

    return Variant(api, run, results_of(training, losses))


def results_of(training: Any, losses: list[Any]) -> Callable[[], list[Any]]:
    """Return what reads the results of a training: mean loss and parameters."""
    return lambda: [np.mean(np.asarray(losses)), *training.parameters()]
