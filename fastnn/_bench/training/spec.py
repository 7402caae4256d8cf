"""What is trained, and the names of its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Params = Mapping[str, NDArray[Any]]

BETAS = (0.9, 0.999)
# Batch normalisation.
NORM_EPS, NORM_MOMENTUM = 1e-6, 0.9


class NotMeasuredError(Exception):
    """A library or a case that is left out; the text says why."""


@dataclass(frozen=True)
class Spec:
    """A network of affine layers, its loss, its optimizer, and the batch.

    Attributes
    ----------
    widths : tuple of int
        Inputs, units of each hidden layer, outputs.
    batch : int
        Samples a step.
    rule : {"Adam", "SGD"}
    batchnorm : bool
        Whether hidden layers are affine, batch normalisation, activation.
    activation : {"relu", "tanh"}
    loss : {"cross_entropy", "mean_squared_error"}
        The squared error is half the sum of squares of a sample.
    dtype : str
    """

    widths: tuple[int, ...]
    batch: int
    rule: str = "Adam"
    batchnorm: bool = False
    activation: str = "relu"
    loss: str = "cross_entropy"
    dtype: str = "float32"

    @property
    def eps(self) -> float:
        """Adam's eps.

        So small that it does not matter whether it is added before or after the bias
        correction: scikit-learn does the one, the others do the other.
        """
        return 1e-12 if self.dtype == "float32" else 1e-20

    @property
    def depth(self) -> int:
        """Number of affine layers."""
        return len(self.widths) - 1

    def names(self) -> Iterator[str]:
        """Yield the names of the parameters that a training can be compared by.

        A bias ahead of batch normalisation is none: its gradient is zero but for rounding, and
        Adam makes steps of full size of that.
        """
        for i in range(1, self.depth + 1):
            hidden = self.batchnorm and i < self.depth
            yield from (f"W{i}", f"gamma{i}", f"beta{i}") if hidden else (f"W{i}", f"b{i}")

    def initial(self, seed: int = 0) -> dict[str, NDArray[Any]]:
        """Return the initial values: He's for ReLU, Xavier's for tanh."""
        rng = np.random.default_rng(seed)
        gain = 2 if self.activation == "relu" else 1
        params = {}
        for i, (d, h) in enumerate(pairwise(self.widths), start=1):
            W = rng.standard_normal((d, h)) * np.sqrt(gain / d)
            params[f"W{i}"], params[f"b{i}"] = W.astype(self.dtype), np.zeros(h, self.dtype)
            if self.batchnorm and i < self.depth:
                params[f"gamma{i}"] = np.ones(h, self.dtype)
                params[f"beta{i}"] = np.zeros(h, self.dtype)
        return params

    @property
    def products(self) -> float:
        """Floating-point operations of a step's matrix products.

        2 N D H each: forward, for the weights' gradient and, but for the first layer, for the
        inputs'.
        """
        sizes = [d * h for d, h in pairwise(self.widths)]
        return 2.0 * self.batch * (3 * sum(sizes) - sizes[0])


def batches(spec: Spec, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order as one row a step."""
    return order.reshape(-1, spec.batch)
