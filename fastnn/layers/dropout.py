"""Dropout."""

from __future__ import annotations

from typing import SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from fastnn import ops
from fastnn._utils import validation as numbers
from fastnn._utils.types import Array, Mask
from fastnn.layers._kept import after_forward
from fastnn.layers.record import Record, register


class Dropout:
    """Dropout (Srivastava et al., 2014).

    Parameters
    ----------
    dropout_ratio : float
        Probability of dropping an element in training, in [0, 1).
    inverted : bool
        False: scale by ``1 - dropout_ratio`` at test time, as in the book. True: divide by
        it in training.
    seed : int, optional
        Chooses the masks; if not given, a :class:`fastnn.Network` that the layer is made for draws
        one from its own seed, and otherwise it is random.

    Attributes
    ----------
    mask : ndarray of bool or None
        True where the last training pass kept an element.
    step : int
        Number of the next training pass. With the seed it determines the mask, so setting
        it back repeats one.
    """

    _seeded = True  # or by chance, so that a network may choose

    def __init__(
        self,
        dropout_ratio: SupportsFloat = 0.5,
        *,
        inverted: bool = False,
        seed: int | None = None,
    ) -> None:
        self.dropout_ratio = numbers.below_one("dropout_ratio", dropout_ratio)
        self.inverted = inverted
        if seed is None:
            self._seeded = False
            seed = int(np.random.default_rng().integers(2**63))
        self.seed = numbers.whole("seed", seed, 0, 2**64 - 1)
        self.step = 0
        self.mask: Mask | None = None

    def __repr__(self) -> str:
        """Return what it is: kind and ratio."""
        form = ", inverted=True" if self.inverted else ""
        return f"{type(self).__name__}({self.dropout_ratio:g}{form})"

    def reseed(self, rng: np.random.Generator) -> None:
        """Draw the seed from a generator, unless it was given or masks have been drawn by it."""
        if not self._seeded and self.step == 0:
            self.seed = int(rng.integers(2**63))
        vars(self).pop("_seeded", None)

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Drop elements in training; scale as the form asks at test time."""
        if not train_flg:
            return ops.dropout_inference(x, self.dropout_ratio, inverted=self.inverted)
        y, self.mask = ops.dropout(
            x, self.dropout_ratio, self.seed, self.step, inverted=self.inverted
        )
        self.step += 1
        return y

    def backward(self, dout: ArrayLike) -> Array:
        """Return dout for the kept elements (scaled in the inverted form), else 0."""
        mask = after_forward(self, self.mask)
        return ops.dropout_backward(dout, mask, self.dropout_ratio, inverted=self.inverted)


register(
    Record(
        Dropout,
        "dropout",
        settings=("dropout_ratio", "inverted"),
        draws=("seed", "step"),
        kept=("mask",),
        left=("step",),
        smooth=True,
    )
)
