"""Layers of activations, which act on each element."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import ArrayLike

from fastnn import ops
from fastnn._utils.types import Array, Mask
from fastnn.kernels.layers.activations import (
    relu_each,
    relu_gradient,
    sigmoid_each,
    sigmoid_gradient,
    tanh_each,
    tanh_gradient,
)
from fastnn.kernels.program.step import Step, activation
from fastnn.layers._kept import after_forward
from fastnn.layers.planning import Buffer, Plan
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


@dataclass(frozen=True)
class Elementwise:
    """What the program has to know of an activation: its steps, and what its gradient is made of.

    Parameters
    ----------
    label : str
    each, gradient : compiled functions
        See :func:`fastnn.kernels.program.step.activation`.
    setting : str
        The layer's attribute that these take; "" for none.
    from_input : bool
        Whether the gradient is computed from the input, not the output.
    zeros : bool
        Whether it depends on nothing but whether the output is zero.
    """

    label: str
    each: Any
    gradient: Any
    setting: str = ""
    from_input: bool = False
    zeros: bool = False

    @cached_property
    def _steps(self) -> tuple[Step, Step]:
        return activation(self.label, self.each, self.gradient, bool(self.setting))

    def _setting(self, layer: Any) -> float:
        return float(getattr(layer, self.setting)) if self.setting else 0.0

    def forward(self, plan: Plan, name: str, layer: Any, x: Buffer) -> Buffer:
        """Add the forward step: in place, where nothing else needs what that overwrites."""
        in_place = not (self.from_input or x.needed or x is plan.data)
        y = x if in_place else plan.buffer(f"{name} output", x.columns)
        plan.add(self._steps[0], source=x, target=y, setting=self._setting(layer))
        if self.from_input:
            x.needed, x.zeros = True, False
        else:
            y.needed, y.zeros = True, self.zeros
        return y

    def backward(self, plan: Plan, name: str, layer: Any, d: Buffer, wanted: bool) -> Buffer:
        """Add the gradient's step, which is in place."""
        kept = (plan.inputs if self.from_input else plan.outputs)[name]
        plan.add(self._steps[1], target=d, other=kept, setting=self._setting(layer))
        return d


RELU = Elementwise("ReLU", relu_each, relu_gradient, zeros=True)
_SIGMOID = Elementwise("sigmoid", sigmoid_each, sigmoid_gradient)
_TANH = Elementwise("tanh", tanh_each, tanh_gradient)

register(
    Record(
        Relu,
        "ReLU",
        kept=("_y",),
        activation="relu",
        initial="he",
        can_die=True,
        forward=RELU.forward,
        backward=RELU.backward,
    )
)
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
        forward=_SIGMOID.forward,
        backward=_SIGMOID.backward,
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
        forward=_TANH.forward,
        backward=_TANH.backward,
    )
)
