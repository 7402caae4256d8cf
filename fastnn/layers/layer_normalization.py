"""Layer normalisation."""

from __future__ import annotations

import math
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from fastnn import ops
from fastnn._utils import validation as numbers
from fastnn._utils.reprs import of_settings
from fastnn._utils.types import Array
from fastnn.layers._kept import after_forward
from fastnn.layers.record import Record, register
from fastnn.layers.scaling import Scaling
from fastnn.layers.settings import Setting
from fastnn.layers.sizes import Shape, expect_arrays, without_sizes


class LayerNormalization(Scaling):
    """Layer normalisation (Ba, Kiros and Hinton, 2016): each sample by its own mean and variance.

    It does the same in training and at test time. Samples of several axes are normalised over all
    of their elements.

    Parameters
    ----------
    gamma, beta : ndarray, shape (D,), optional
        Scale and shift; kept, not copied. Without both :meth:`build`, which a
        :class:`fastnn.Network` calls, makes ones and zeros.
    eps : float
        Added to the variance.

    Attributes
    ----------
    dgamma, dbeta : ndarray or None
        Gradients of the last backward pass.
    """

    eps = Setting(numbers.not_negative)

    def __init__(
        self, gamma: Array | None = None, beta: Array | None = None, *, eps: SupportsFloat = 1e-5
    ) -> None:
        if gamma is not None or beta is not None:
            expect_arrays("gamma", gamma, "beta", beta)
        self.gamma: Any = gamma
        self.beta: Any = beta
        self.eps = eps
        self.dgamma: Array | None = None
        self.dbeta: Array | None = None
        self._saved: tuple[Array, Array, Array] | None = None

    def __repr__(self) -> str:
        """Return what it is: its kind, and settings that are not the usual ones."""
        return of_settings(self, ("eps",), changed=True)

    def _features(self, shape: Shape) -> int:
        return math.prod(shape)

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Normalise each sample."""
        if self.gamma is None:
            raise without_sizes(self, "forward")
        x = np.asarray(x)
        y, mean, rstd = ops.layernorm(_rows(x), self.gamma, self.beta, self.eps)
        if train_flg:
            self._saved = _rows(x), mean, rstd
        return y.reshape(x.shape)

    def backward(self, dout: ArrayLike) -> Array:
        """Return the gradient through each sample's statistics; leave dgamma and dbeta."""
        x, mean, rstd = after_forward(self, self._saved)
        dout = np.asarray(dout)
        dx, self.dgamma, self.dbeta = ops.layernorm_backward(_rows(dout), x, self.gamma, mean, rstd)
        return dx.reshape(dout.shape)


def _rows(x: Array) -> Array:
    """Return samples of several axes as rows."""
    return x.reshape(x.shape[0], math.prod(x.shape[1:])) if x.ndim > 2 else x


register(
    Record(
        LayerNormalization,
        "layer normalisation",
        parameters=("gamma", "beta"),
        settings=("eps",),
        kept=("_saved",),
        smooth=True,
    )
)
