"""Layers of activations, which act on each element."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from fastnn import ops
from fastnn._utils import validation as numbers
from fastnn._utils.reprs import of_settings
from fastnn._utils.types import Array, Mask
from fastnn.kernels.program import kinds
from fastnn.kernels.program.step import Step
from fastnn.layers._kept import after_forward
from fastnn.layers.planning import Buffer, Plan
from fastnn.layers.record import Record, register
from fastnn.layers.settings import Setting


class _Plain:
    """What activations without settings share."""

    def __repr__(self) -> str:
        return of_settings(self)


class Relu(_Plain):
    """Rectified linear unit, max(x, 0).

    Attributes
    ----------
    mask : ndarray of bool or None
        True where the last input in training was at or below zero.
    """

    def __init__(self) -> None:
        self._y: Array | None = None

    @property
    def mask(self) -> Mask | None:
        """True where the last input in training was at or below zero."""
        return None if self._y is None else self._y <= 0

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return max(x, 0)."""
        out = ops.relu(x)
        if train_flg:
            self._y = out
        return out

    def backward(self, dout: ArrayLike) -> Array:
        """Return dout where the input was above zero, else 0."""
        return ops.relu_backward(dout, after_forward(self, self._y))


class Sigmoid(_Plain):
    """Logistic function, 1 / (1 + exp(-x)).

    Attributes
    ----------
    out : ndarray or None
        The last output in training.
    """

    def __init__(self) -> None:
        self.out: Array | None = None

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return 1 / (1 + exp(-x))."""
        out = ops.sigmoid(x)
        if train_flg:
            self.out = out
        return out

    def backward(self, dout: ArrayLike) -> Array:
        """Return dout (1 - out) out."""
        return ops.sigmoid_backward(dout, after_forward(self, self.out))


class Tanh(_Plain):
    """Hyperbolic tangent.

    Attributes
    ----------
    out : ndarray or None
        The last output in training.
    """

    def __init__(self) -> None:
        self.out: Array | None = None

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return tanh(x)."""
        out = ops.tanh(x)
        if train_flg:
            self.out = out
        return out

    def backward(self, dout: ArrayLike) -> Array:
        """Return dout (1 - out^2)."""
        return ops.tanh_backward(dout, after_forward(self, self.out))


class LeakyRelu:
    """Leaky rectified linear unit (Maas et al., 2013): x above zero, negative_slope x below.

    Parameters
    ----------
    negative_slope : float
        At least 0.

    Attributes
    ----------
    out : ndarray or None
        The last output in training.
    """

    negative_slope = Setting(numbers.not_negative)

    def __init__(self, negative_slope: SupportsFloat = 0.01) -> None:
        self.negative_slope = negative_slope
        self.out: Array | None = None

    def __repr__(self) -> str:
        """Return what makes the layer."""
        return f"{type(self).__name__}({self.negative_slope:g})"

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return x where it is above zero, else negative_slope x."""
        out = ops.leaky_relu(x, self.negative_slope)
        if train_flg:
            self.out = out
        return out

    def backward(self, dout: ArrayLike) -> Array:
        """Return dout where the input was above zero, else negative_slope dout."""
        return ops.leaky_relu_backward(dout, after_forward(self, self.out), self.negative_slope)


class Elu:
    """Exponential linear unit (Clevert et al., 2016): x above zero, alpha (exp(x) - 1) below.

    Parameters
    ----------
    alpha : float
        At least 0.

    Attributes
    ----------
    out : ndarray or None
        The last output in training.
    """

    alpha = Setting(numbers.not_negative)

    def __init__(self, alpha: SupportsFloat = 1.0) -> None:
        self.alpha = alpha
        self.out: Array | None = None

    def __repr__(self) -> str:
        """Return what makes the layer."""
        return f"{type(self).__name__}({self.alpha:g})"

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return x where it is above zero, else alpha (exp(x) - 1)."""
        out = ops.elu(x, self.alpha)
        if train_flg:
            self.out = out
        return out

    def backward(self, dout: ArrayLike) -> Array:
        """Return dout where the input was above zero, else dout (out + alpha)."""
        return ops.elu_backward(dout, after_forward(self, self.out), self.alpha)


class Gelu:
    """Gaussian error linear unit (Hendrycks and Gimpel, 2016): x P(x), P the normal distribution.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        Exact, or by a hyperbolic tangent, which costs half as much.

    Attributes
    ----------
    x : ndarray or None
        The last input in training, not a copy: the gradient needs it.
    """

    approximate = Setting(partial(numbers.one_of, choices=("none", "tanh")))

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate
        self.x: Array | None = None

    def __repr__(self) -> str:
        """Return what makes the layer."""
        form = "" if self.approximate == "none" else repr(self.approximate)
        return f"{type(self).__name__}({form})"

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return x P(x)."""
        x = np.asarray(x)
        if train_flg:
            self.x = x
        return ops.gelu(x, self.approximate)

    def backward(self, dout: ArrayLike) -> Array:
        """Return dout (P(x) + x P'(x))."""
        return ops.gelu_backward(dout, after_forward(self, self.x), self.approximate)


class Silu(_Plain):
    """Sigmoid linear unit, or swish (Elfwing et al., 2018): x / (1 + exp(-x)).

    Attributes
    ----------
    x : ndarray or None
        The last input in training, not a copy: the gradient needs it.
    """

    def __init__(self) -> None:
        self.x: Array | None = None

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return x / (1 + exp(-x))."""
        x = np.asarray(x)
        if train_flg:
            self.x = x
        return ops.silu(x)

    def backward(self, dout: ArrayLike) -> Array:
        """Return dout s (1 + x (1 - s)), s = 1 / (1 + exp(-x))."""
        return ops.silu_backward(dout, after_forward(self, self.x))


class Softplus(_Plain):
    """Softplus, a smooth ReLU (Dugas et al., 2000): log(1 + exp(x)).

    Attributes
    ----------
    out : ndarray or None
        The last output in training.
    """

    def __init__(self) -> None:
        self.out: Array | None = None

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return log(1 + exp(x))."""
        out = ops.softplus(x)
        if train_flg:
            self.out = out
        return out

    def backward(self, dout: ArrayLike) -> Array:
        """Return dout (1 - exp(-out))."""
        return ops.softplus_backward(dout, after_forward(self, self.out))


class Identity(_Plain):
    """Its input, as it is: the place of an activation in a network without one."""

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return x."""
        return np.asarray(x)

    def backward(self, dout: ArrayLike) -> Array:
        """Return dout."""
        return np.asarray(dout)


@dataclass(frozen=True)
class Elementwise:
    """What the program has to know of an activation: its steps, and what its gradient is made of.

    Parameters
    ----------
    steps : (Step, Step)
        The activation, and its gradient.
    setting : str
        The layer's attribute that these take; "" for none.
    from_input : bool
        Whether the gradient is computed from the input, not the output.
    zeros : bool
        Whether it depends on nothing but whether the output is zero.
    """

    steps: tuple[Step, Step]
    setting: str = ""
    from_input: bool = False
    zeros: bool = False

    def _setting(self, layer: Any) -> float:
        return float(getattr(layer, self.setting)) if self.setting else 0.0

    def forward(self, plan: Plan, name: str, layer: Any, x: Buffer) -> Buffer:
        """Add the forward step: in place, where nothing else needs what that overwrites."""
        in_place = not (self.from_input or x.needed or x is plan.data)
        y = x if in_place else plan.buffer(f"{name} output", x.columns)
        plan.add(self.steps[0], source=x, target=y, setting=self._setting(layer))
        if self.from_input:
            x.needed, x.zeros = True, False
        else:
            y.needed, y.zeros = True, self.zeros
        return y

    def backward(self, plan: Plan, name: str, layer: Any, d: Buffer, wanted: bool) -> Buffer:
        """Add the gradient's step, which is in place."""
        kept = (plan.inputs if self.from_input else plan.outputs)[name]
        plan.add(self.steps[1], target=d, other=kept, setting=self._setting(layer))
        return d


RELU = Elementwise(kinds.RELU, zeros=True)
_SIGMOID = Elementwise(kinds.SIGMOID)
_TANH = Elementwise(kinds.TANH)
_LEAKY_RELU = Elementwise(kinds.LEAKY_RELU, setting="negative_slope")
_ELU = Elementwise(kinds.ELU, setting="alpha")
_SILU = Elementwise(kinds.SILU, from_input=True)
_SOFTPLUS = Elementwise(kinds.SOFTPLUS)
_GELU = {
    "none": Elementwise(kinds.GELU, from_input=True),
    "tanh": Elementwise(kinds.GELU_TANH, from_input=True),
}


def _gelu_forward(plan: Plan, name: str, layer: Gelu, x: Buffer) -> Buffer:
    return _GELU[layer.approximate].forward(plan, name, layer, x)


def _gelu_backward(plan: Plan, name: str, layer: Gelu, d: Buffer, wanted: bool) -> Buffer:
    return _GELU[layer.approximate].backward(plan, name, layer, d, wanted)


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
register(
    Record(
        LeakyRelu,
        "leaky ReLU",
        settings=("negative_slope",),
        kept=("out",),
        activation="leaky_relu",
        initial="he",
        forward=_LEAKY_RELU.forward,
        backward=_LEAKY_RELU.backward,
    )
)
# Where alpha is not 1, its derivative jumps at zero.
register(
    Record(
        Elu,
        "ELU",
        settings=("alpha",),
        kept=("out",),
        activation="elu",
        initial="he",
        forward=_ELU.forward,
        backward=_ELU.backward,
    )
)
register(
    Record(
        Gelu,
        "GELU",
        settings=("approximate",),
        kept=("x",),
        activation="gelu",
        initial="he",
        smooth=True,
        forward=_gelu_forward,
        backward=_gelu_backward,
    )
)
register(
    Record(
        Silu,
        "SiLU",
        kept=("x",),
        activation="silu",
        initial="he",
        smooth=True,
        forward=_SILU.forward,
        backward=_SILU.backward,
    )
)
register(
    Record(
        Softplus,
        "softplus",
        kept=("out",),
        activation="softplus",
        initial="he",
        smooth=True,
        forward=_SOFTPLUS.forward,
        backward=_SOFTPLUS.backward,
    )
)
# No step at all: what comes after it reads its input.
register(
    Record(
        Identity,
        "identity",
        smooth=True,
        forward=lambda plan, name, layer, x: x,
        backward=lambda plan, name, layer, d, wanted: d,
    )
)
