"""Whether a library trains as the reference does, within what rounding may do.

Rounding errors alone change a training by some 1e-6 of its way, until one of them decides on
which side of a ReLU's kink a sample is, or which sign a step of Adam has: then two right trainings
part, by a quarter of the way within an epoch. So the first steps are compared, and what is allowed
is not a number: it is how far the reference itself goes astray, in float64, when its operations
are perturbed by more than rounding does to any library. Where one of those would decide otherwise,
some of the perturbed ones do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn import config
from fastnn._bench.case import Arrays, WrongResultError
from fastnn._bench.training.problem import Problem
from fastnn._bench.training.spec import BETAS
from fastnn._bench.training.with_fastnn import Training

# Where a library would decide otherwise than the reference, so does each perturbed training with
# a chance of about one half: none of so many has one of 1/256.
TRAININGS = 8
# Units of rounding by which operations are perturbed, at least. A sum of n terms, added one after
# the other, is off by some sqrt(n) of them; the longest sum is over inputs, units or samples.
UNITS = 16
# Between the largest of several deviations and another one, of smaller perturbations.
MARGIN = 2

Trajectory = tuple[NDArray[np.float64], list[NDArray[Any]]]


class Noise:
    """Perturbs what a training computes by so many units of rounding of its dtype.

    Without a seed it perturbs nothing.
    """

    def __init__(self, given: Problem, seed: int | None) -> None:
        spec = given.spec
        self._rng = np.random.default_rng(seed)
        longest = max(*spec.widths[:-1], spec.batch)
        self._size = max(UNITS, np.sqrt(longest)) * float(np.finfo(spec.dtype).eps) / 2
        # 1 - beta^n, taken as a difference of float64, has lost as many digits as 1 - beta.
        self._rate = max(self._size, float(np.finfo(np.float64).eps) / (1 - max(BETAS)))
        if seed is None:
            self._size = self._rate = 0.0

    def _uniform(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        return self._rng.uniform(-self._size, self._size, shape)

    def product(self, a: NDArray[Any]) -> NDArray[Any]:
        """Return factors of a product: their error is in proportion to each."""
        return a * (1 + self._uniform(a.shape))

    def sum(self, a: NDArray[Any]) -> NDArray[Any]:
        """Return sums: a small one's error has the size of its terms; nothing is lost of zeros."""
        size = np.abs(a) + np.sqrt(np.mean(np.square(a)))
        return a + np.where(a == 0, 0, size) * self._uniform(a.shape)

    def rate(self, lr: float) -> float:
        """Return a learning rate, with the factor of Adam's bias correction."""
        return lr * (1 + float(self._rng.uniform(-self._rate, self._rate)))


def trajectory(given: Problem, seed: int | None = None) -> Trajectory:
    """Return the loss of each step, and the parameters, of the reference in float64.

    With a seed, its operations are perturbed.
    """
    spec, noise = given.spec, Noise(given, seed)
    start = {name: noise.product(p.astype(np.float64)) for name, p in spec.initial().items()}
    x = given.x.astype(np.float64)
    trained = Training(replace(spec, dtype="float64"), start, x, given.t, backend="numpy")
    network, optimizer = trained.network, trained.optimizer
    losses, orders = [], given.orders()
    with config.use_backend("numpy"):
        for _ in range(given.epochs):
            order = next(orders)
            order = np.arange(len(x)) if order is None else order
            for rows in np.split(order, len(x) // spec.batch):
                grads = network.gradient(noise.product(x[rows]), given.t[rows])
                losses.append(network.last_layer.loss)
                optimizer.lr = noise.rate(given.lr)
                optimizer.update(network.params, {k: noise.sum(g) for k, g in grads.items()})
    return np.array(losses), trained.parameters()


class Expected(NamedTuple):
    """What a training should lead to, and how far off it may be.

    Attributes
    ----------
    losses, allowed_losses : ndarray, shape (steps,)
    params : list of ndarray
    allowed : list of float
        Of the norm of each parameter's error.
    names : list of str
    """

    losses: NDArray[np.float64]
    allowed_losses: NDArray[np.float64]
    params: list[NDArray[Any]]
    allowed: list[float]
    names: list[str]


def expected(given: Problem) -> Expected:
    """Return what training on these samples leads to, in float64, and how far rounding may."""
    losses, params = trajectory(given)
    perturbed = [trajectory(given, seed) for seed in range(TRAININGS)]
    strayed = np.max([np.abs(other - losses) for other, _ in perturbed], axis=0)
    # The mean over a batch is a sum too.
    mean = np.sqrt(given.spec.batch) * np.finfo(given.spec.dtype).eps * np.abs(losses)
    allowed = [
        MARGIN * max(float(np.linalg.norm(other[i] - p)) for _, other in perturbed)
        for i, p in enumerate(params)
    ]
    # Errors of steps go on in the next ones.
    allowed_losses = MARGIN * np.maximum.accumulate(strayed) + mean
    return Expected(losses, allowed_losses, params, allowed, list(given.spec.names()))


def agree(results: Arrays, wanted: Expected) -> None:
    """Raise unless losses and parameters are those expected, within what is allowed.

    `results` are the losses, of each step or the mean of them, and the parameters.
    """
    losses, *params = results
    _agree_on_losses(np.ravel(losses), wanted)
    checked = zip(wanted.names, params, wanted.params, wanted.allowed, strict=True)
    for name, got, want, allowed in checked:
        error = float(np.linalg.norm(got - want)) if got.shape == want.shape else np.inf
        if not error <= allowed:
            raise WrongResultError(
                f"{name} is off by {error:.3g} after {len(wanted.losses)} steps, "
                f"allowed {allowed:.3g}"
            )


def _agree_on_losses(losses: NDArray[Any], wanted: Expected) -> None:
    references, allowed = wanted.losses, wanted.allowed_losses
    what = "the loss of step {}"
    if losses.size == 1:
        references, allowed = references.mean(keepdims=True), allowed.mean(keepdims=True)
        what = "the mean loss"
    elif losses.shape != references.shape:
        raise WrongResultError(f"{losses.size} losses, expected {references.size}")
    wrong = np.flatnonzero(~(np.abs(losses - references) <= allowed))
    if wrong.size:
        i = int(wrong[0])
        raise WrongResultError(
            f"{what.format(i + 1)} is {losses[i]:.9g}, expected {references[i]:.9g} "
            f"within {allowed[i]:.2g}"
        )
