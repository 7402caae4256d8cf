"""Dropout."""

from __future__ import annotations

from functools import partial
from typing import SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from fastnn import ops
from fastnn._utils import validation as numbers
from fastnn._utils.types import Array, Mask
from fastnn.kernels.program import kinds
from fastnn.kernels.random.sizes import WORDS
from fastnn.layers._kept import after_forward
from fastnn.layers.folding import Folding
from fastnn.layers.planning import Buffer, Counter, Plan
from fastnn.layers.record import Record, register
from fastnn.layers.settings import Setting


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

    dropout_ratio = Setting(numbers.below_one)
    inverted = Setting(numbers.flag)
    seed = Setting(partial(numbers.integer, low=0, high=2**64 - 1))
    step = Setting(partial(numbers.integer, low=0, high=2**64 - 1))
    _seeded = True  # or by chance, so that a network may choose

    def __init__(
        self,
        dropout_ratio: SupportsFloat = 0.5,
        *,
        inverted: bool = False,
        seed: int | None = None,
    ) -> None:
        self.dropout_ratio = dropout_ratio
        self.inverted = inverted
        if seed is None:
            self._seeded = False
            seed = int(np.random.default_rng().integers(2**63))
        self.seed = seed
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


def _scale(layer: Dropout) -> float:
    """Return what training multiplies the kept elements by."""
    return 1 / (1 - layer.dropout_ratio) if layer.inverted else 1.0


def _forward(plan: Plan, name: str, layer: Dropout, x: Buffer) -> Buffer:
    """Add a step that draws a mask: in place, where what needs x can do with what is left of it."""
    mask = plan.kept[name] = plan.buffer(f"{name} mask", x.columns, itemsize=1)
    scale = _scale(layer)
    in_place = x is not plan.data and (not x.needed or x.zeros or scale == 1)
    y = x if in_place else plan.buffer(f"{name} output", x.columns)
    plan.add(
        kinds.DROPOUT, source=x, target=y, other=mask, scale=scale, ratio=layer.dropout_ratio,
        seed=layer.seed, calls=Counter(layer, "step"),
    )  # fmt: skip
    plan.scratch(WORDS)
    return y


def _forward_given(plan: Plan, name: str, layer: Dropout, x: Buffer, training: bool) -> Buffer:
    mask = plan.kept[name] = plan.buffer(f"{name} mask", x.columns, itemsize=1)
    y = plan.buffer(f"{name} output", x.columns)
    scale = 1.0 if training else 1.0 - layer.dropout_ratio
    plan.add(kinds.BY_MASK, source=x, target=y, other=mask, scale=scale)
    return y


def _backward(plan: Plan, name: str, layer: Dropout, d: Buffer, wanted: bool) -> Buffer:
    mask = plan.kept[name]
    plan.add(kinds.DROPOUT_GRADIENT, source=d, target=d, other=mask, scale=_scale(layer))
    return d


def _fold(folding: Folding, name: str, layer: Dropout) -> None:
    folding.factor *= 1.0 if layer.inverted else 1 - layer.dropout_ratio


register(
    Record(
        Dropout,
        "dropout",
        settings=("dropout_ratio", "inverted"),
        draws=("seed", "step"),
        kept=("mask",),
        left=("step",),
        smooth=True,
        forward=_forward,
        backward=_backward,
        forward_given=_forward_given,
        fold=_fold,
    )
)
