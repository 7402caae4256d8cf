"""Affine layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from fastnn import ops
from fastnn._utils.types import Array, Mask
from fastnn.layers._kept import after_forward
from fastnn.layers.record import Record, register


class Affine:
    """Affine map x W + b; an input with more than two axes is flattened per sample.

    Parameters
    ----------
    W : ndarray, shape (D, H)
        Weights; kept, not copied, so that an update in place is seen.
    b : ndarray, shape (H,)
        Bias; kept, not copied.

    Attributes
    ----------
    x : ndarray, shape (N, D), or None
        The last input, flattened.
    original_x_shape : tuple of int or None
        The shape that it came in.
    dW, db : ndarray or None
        Gradients of the last backward pass.
    input_gradient : bool
        True at first. False saves the gradient with respect to the input, which the first
        layer of a network has no use for; backward then returns None.
    """

    def __init__(self, W: Array, b: Array) -> None:
        self.W = W
        self.b = b
        self.x: Array | None = None
        self.original_x_shape: tuple[int, ...] | None = None
        self.dW: Array | None = None
        self.db: Array | None = None
        self.input_gradient = True

    def _keep(self, x: ArrayLike) -> Array:
        x = np.asarray(x)
        if x.ndim < 2:
            raise ValueError(
                f"x: expected shape (N, ...), one row a sample, got {x.shape}; "
                "x[np.newaxis] makes a batch of one sample"
            )
        self.original_x_shape = x.shape
        size = int(np.prod(x.shape[1:]))
        self.x = x.reshape(x.shape[0], size) if x.ndim != 2 else x
        return self.x

    def _return(self, gradients: tuple[Array | None, Array, Array]) -> Array | None:
        dx, self.dW, self.db = gradients
        assert self.original_x_shape is not None
        return None if dx is None else dx.reshape(self.original_x_shape)

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return x W + b, shape (N, H)."""
        return ops.affine(self._keep(x), self.W, self.b)

    def backward(self, dout: ArrayLike) -> Array | None:
        """Return dout W^T in the input's shape; leave x^T dout and the sums of dout."""
        x = after_forward(self, self.x)
        return self._return(
            ops.affine_backward(dout, x, self.W, input_gradient=self.input_gradient)
        )


class AffineRelu(Affine):
    """Affine map and ReLU in one, max(x W + b, 0): an Affine and a Relu layer, fused.

    Parameters and attributes are those of :class:`Affine`.
    """

    def __init__(self, W: Array, b: Array) -> None:
        super().__init__(W, b)
        self._y: Array | None = None

    @property
    def mask(self) -> Mask | None:
        """True where x W + b was at or below zero in the last forward pass."""
        return None if self._y is None else self._y <= 0

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return max(x W + b, 0), shape (N, H)."""
        self._y = ops.affine_relu(self._keep(x), self.W, self.b)
        return self._y

    def backward(self, dout: ArrayLike) -> Array | None:
        """Return the gradient in the input's shape; leave dW and db."""
        y = after_forward(self, self._y)
        return self._return(
            ops.affine_relu_backward(
                dout, after_forward(self, self.x), self.W, y, input_gradient=self.input_gradient
            )
        )


_AFFINE = Record(
    Affine,
    "affine",
    parameters=("W", "b"),
    decayed=("W",),
    kept=("x", "original_x_shape"),
    smooth=True,
)
register(_AFFINE)
register(
    replace(
        _AFFINE,
        kind=AffineRelu,
        label="affine + ReLU",
        kept=(*_AFFINE.kept, "_y"),
        activation="relu",
        can_die=True,
        smooth=False,
    )
)
