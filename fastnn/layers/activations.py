"""Layers of activations, which act on each element."""

from __future__ import annotations

from numpy.typing import ArrayLike

from fastnn import ops
from fastnn._utils.types import Array, Mask
from fastnn.layers._kept import after_forward
from fastnn.layers.record import Record, register


class Relu:
    """Rectified linear unit, max(x, 0).

    Attributes
    ----------
    mask : ndarray of bool or None
        True where the last input was at or below zero.
    """

    def __init__(self) -> None:
        self._y: Array | None = None

    @property
    def mask(self) -> Mask | None:
        """True where the last input was at or below zero."""
        return None if self._y is None else self._y <= 0

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return max(x, 0)."""
        self._y = ops.relu(x)
        return self._y

    def backward(self, dout: ArrayLike) -> Array:
        """Return dout where the input was above zero, else 0."""
        return ops.relu_backward(dout, after_forward(self, self._y))


class Sigmoid:
    """Logistic function, 1 / (1 + exp(-x)).

    Attributes
    ----------
    out : ndarray or None
        The last output.
    """

    def __init__(self) -> None:
        self.out: Array | None = None

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return 1 / (1 + exp(-x))."""
        self.out = ops.sigmoid(x)
        return self.out

    def backward(self, dout: ArrayLike) -> Array:
        """Return dout (1 - out) out."""
        return ops.sigmoid_backward(dout, after_forward(self, self.out))


class Tanh:
    """Hyperbolic tangent.

    Attributes
    ----------
    out : ndarray or None
        The last output.
    """

    def __init__(self) -> None:
        self.out: Array | None = None

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return tanh(x)."""
        self.out = ops.tanh(x)
        return self.out

    def backward(self, dout: ArrayLike) -> Array:
        """Return dout (1 - out^2)."""
        return ops.tanh_backward(dout, after_forward(self, self.out))


register(Record(Relu, "ReLU", kept=("_y",), activation="relu", initial="he", can_die=True))
# Beyond these bounds the gradient is below 4 % of its largest value. Those of sigmoid and tanh are
# the same inputs, as tanh(z) = 2 sigmoid(2 z) - 1.
register(
    Record(
        Sigmoid,
        "sigmoid",
        kept=("out",),
        activation="sigmoid",
        initial="xavier",
        saturation=(0.01, 0.99),
        smooth=True,
    )
)
register(
    Record(
        Tanh,
        "tanh",
        kept=("out",),
        activation="tanh",
        initial="xavier",
        saturation=(-0.98, 0.98),
        smooth=True,
    )
)
