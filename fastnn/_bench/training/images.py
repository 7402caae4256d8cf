"""Networks of images to be trained by libraries: those of the book's chapters 7 and 8.

Dropout is left out, as each library draws masks of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn import config, networks, optimizers
from fastnn import layers as ours
from fastnn._bench.training.spec import BETAS

SIZE = (1, 28, 28)
CLASSES = 10


class Part(NamedTuple):
    """A layer: its kind, and of one with weights how many filters or units, their side, padding."""

    kind: str
    units: int = 0
    side: int = 0
    pad: int = 0


def _filters(*counts_and_pads: tuple[int, int]) -> list[Part]:
    """Return convolutions of 3 x 3, each with ReLU after it, and then pooling."""
    found = []
    for count, pad in counts_and_pads:
        found += [Part("convolution", count, 3, pad), Part("relu")]
    return [*found, Part("pool")]


NETWORKS = {
    "chapter 7: 30 of 5x5, 100": [
        Part("convolution", 30, 5), Part("relu"), Part("pool"), Part("affine", 100), Part("relu"),
        Part("affine", CLASSES),
    ],
    "chapter 8: 16-16-32-32-64-64 of 3x3, 50": [
        *_filters((16, 1), (16, 1)), *_filters((32, 1), (32, 2)), *_filters((64, 1), (64, 1)),
        Part("affine", 50), Part("relu"), Part("affine", CLASSES),
    ],
}  # fmt: skip


def sized(parts: list[Part]) -> Iterator[tuple[Part, tuple[int, ...], int]]:
    """Yield the parts with the shape of their weights, () if they have none, and of places."""
    c, h, w = SIZE
    for part in parts:
        shape: tuple[int, ...] = ()
        places = 1
        if part.kind == "convolution":
            shape = part.units, c, part.side, part.side
            c, h, w = part.units, h + 2 * part.pad - part.side + 1, w + 2 * part.pad - part.side + 1
            places = h * w
        elif part.kind == "pool":
            h, w = h // 2, w // 2
        elif part.kind == "affine":
            shape, (c, h, w) = (c * h * w, part.units), (part.units, 1, 1)
        yield part, shape, places


def products(parts: list[Part]) -> int:
    """Return the operations of a sample's step: the first layer has no gradient of its input."""
    counts = [2 * places * int(np.prod(shape)) for _, shape, places in sized(parts) if shape]
    return 3 * sum(counts) - counts[0]


@dataclass
class ImageProblem:
    """A network, samples in the order in which they are taken, and what they are trained with."""

    parts: list[Part]
    batch: int
    x: NDArray[Any]
    t: NDArray[Any]
    lr: float

    def weights(self) -> list[NDArray[Any]]:
        """Return initial weights, He's."""
        rng, found = np.random.default_rng(0), []
        for part, shape, _ in sized(self.parts):
            if shape:
                fan_in = shape[0] if part.kind == "affine" else int(np.prod(shape[1:]))
                found.append(rng.standard_normal(shape) * np.sqrt(2 / fan_in))
        return [W.astype(self.x.dtype) for W in found]


def problem(name: str, dtype: str, batch: int, steps: int, lr: float) -> tuple[ImageProblem]:
    """Return a problem of random images with random labels, as the only argument."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((steps * batch, *SIZE)).astype(dtype)
    return (ImageProblem(NETWORKS[name], batch, x, rng.integers(CLASSES, size=len(x)), lr),)


class Training:
    """A training by ``fit`` that goes on with each call."""

    def __init__(self, given: ImageProblem, backend: str = "numba") -> None:
        self._given, self._backend = given, backend
        weights, found = iter(given.weights()), list[Any]()
        for part, shape, _ in sized(given.parts):
            if not shape:
                found.append(ours.Relu() if part.kind == "relu" else ours.MaxPool(2, 2))
                continue
            arrays = next(weights), np.zeros(part.units, given.x.dtype)
            convolves = part.kind == "convolution"
            found.append(
                ours.Convolution(*arrays, pad=part.pad) if convolves else ours.Affine(*arrays)
            )
        self.network = networks.Network(found, input_size=SIZE, dtype=given.x.dtype)
        self._optimizer = optimizers.Adam(given.lr, *BETAS, bias_correction="explicit")

    def epoch(self) -> list[Any]:
        """Train on all samples; return the loss of each step."""
        given = self._given
        with config.use_backend(self._backend):
            history = self.network.fit(
                given.x, given.t, 1, given.batch, optimizer=self._optimizer, shuffle=False,
                verbose=False,
            )  # fmt: skip
        return [np.array(history.step_losses, given.x.dtype)]


def expected(given: ImageProblem) -> list[Any]:
    """Return what an epoch leads to, of the reference in float64."""
    x = given.x.astype(np.float64)
    exact = ImageProblem(given.parts, given.batch, x, given.t, given.lr)
    return Training(exact, "numpy").epoch()
