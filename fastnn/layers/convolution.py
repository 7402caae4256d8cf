"""Convolution of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn import ops
from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.kernels.layers import strips
from fastnn.kernels.plain.memory import CACHE_LINE
from fastnn.kernels.program import kinds
from fastnn.kernels.program.tables import UNIT
from fastnn.layers._kept import after_forward
from fastnn.layers.folding import scale_weights
from fastnn.layers.planning import Buffer, Plan, Summed, Unsupported
from fastnn.layers.record import Record, register
from fastnn.layers.settings import Setting
from fastnn.layers.sizes import (
    Init,
    Shape,
    expect_arrays,
    initial_rule,
    initial_weights,
    is_size,
    without_sizes,
)
from fastnn.layers.state import Trained
from fastnn.ops._windows import padding, places, size


class Convolution(Trained):
    """Convolution of images (N, C, H, W) with filters, and a bias.

    Parameters
    ----------
    W : ndarray, shape (F, C, FH, FW), or int
        Filters; kept, not copied, so that an update in place is seen. Or their number F: then
        :meth:`build`, which a :class:`fastnn.Network` calls, makes both arrays.
    b : ndarray, shape (F,), or int, or (int, int)
        Bias; kept, not copied. Beside a number of filters their size instead: FH and FW, or one
        number for both.
    stride : int
        Step between the places where filters are put.
    pad : int
        Rows and columns of zeros around each image.
    init : str, float or function, optional
        Initial filters where `W` is an int; as for :class:`Affine`.

    Attributes
    ----------
    x : ndarray, shape (N, C, H, W), or None
        The last input in training.
    dW, db : ndarray or None
        Gradients of the last backward pass.
    input_gradient : bool
        True at first. False saves the gradient with respect to the input, which the first
        layer of a network has no use for; backward then returns None.
    """

    stride = Setting(size)
    pad = Setting(padding)

    _filters = 0  # of a layer to build
    _window: tuple[int, int] = (0, 0)
    _init: Init | None = None

    def __init__(
        self,
        W: Array | SupportsIndex,
        b: Array | SupportsIndex | Sequence[SupportsIndex],
        stride: SupportsIndex = 1,
        pad: SupportsIndex = 0,
        *,
        init: Init | None = None,
    ) -> None:
        self.W: Any = W
        self.b: Any = b
        if is_size(W):
            self._filters, self._window = numbers.integer("W", W, 1), _window(b)
            self._init = initial_rule(init)
            self.W = self.b = None
        else:
            expect_arrays("W", W, "b", b, init)
        self.stride = stride
        self.pad = pad
        self.x: ArrayLike | None = None
        self.dW: Array | None = None
        self.db: Array | None = None
        self.input_gradient = True

    def __repr__(self) -> str:
        """Return what it is: kind, filters, their size, stride and padding."""
        filters, window = self._filters, self._window
        if self.W is not None:
            filters, _, *window = np.shape(self.W)
        size = window[0] if window[0] == window[1] else tuple(window)
        return f"{type(self).__name__}({filters}, {size}, stride={self.stride}, pad={self.pad})"

    def build(
        self,
        shape: Shape,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float32,
        init: Init = "xavier",
    ) -> Shape:
        """Make filters and bias, which is zero, for images of a shape.

        Parameters
        ----------
        shape : (int, int, int)
            Of an image, (C, H, W).
        rng : numpy.random.Generator, int or None
            Generator, or the seed of a new one.
        dtype : dtype
        init : str, float or function
            Initial filters if the layer has no `init` of its own.

        Returns
        -------
        (int, int, int)
            The shape of the output for an image, (F, OH, OW).
        """
        after = self.output_shape(shape)
        if self.W is None:
            rule = initial_rule(init if self._init is None else self._init)
            assert rule is not None
            sizes = self._filters, shape[0], *self._window
            self.W = initial_weights(rule, sizes, np.random.default_rng(rng), dtype)
            self.b = np.zeros(self._filters, dtype)
            del self._filters, self._window, self._init  # a function that pickle may not take
        return after

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the output for an image of a shape; raise if it does not fit."""
        if len(shape) != 3:
            raise ValueError(f"expected images of shape (C, H, W), got shape {shape}")
        filters, window = self._filters, self._window
        if self.W is not None:
            filters, channels, *window = np.shape(self.W)
            if np.shape(self.b) != (filters,):
                raise ValueError(
                    f"b: expected shape ({filters},), one for each filter, got {np.shape(self.b)}"
                )
            if channels != shape[0]:
                raise ValueError(f"expected images of {channels} channels, got shape {shape}")
        return (filters, *places("input", (1, *shape), *window, self.stride, self.pad))

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return the images of what the filters find, shape (N, F, OH, OW)."""
        if self.W is None:
            raise without_sizes(self, "forward")
        y = ops.convolution(x, self.W, self.b, self.stride, self.pad)
        if train_flg:
            self.x = x
        return y

    def backward(self, dout: ArrayLike) -> Array | None:
        """Return the gradient with respect to the input; leave those of filters and bias."""
        dx, self.dW, self.db = ops.convolution_backward(
            dout, after_forward(self, self.x), self.W, self.stride, self.pad,
            input_gradient=self.input_gradient,
        )  # fmt: skip
        return dx


def _window(given: Any) -> tuple[int, int]:
    """Return height and width of filters, from two numbers or one."""
    pair = (given, given) if is_size(given) else given
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(
            "b: expected the size of filters, a number or two, beside a number of filters, got "
            f"{numbers.brief(given)}"
        )
    return size("b", pair[0]), size("b", pair[1])


def _forward(plan: Plan, name: str, layer: Convolution, x: Buffer) -> Buffer:
    shape = plan.shapes[name]
    after = layer.output_shape(shape)
    y = plan.buffer(f"{name} output", math.prod(after))
    # The lengths that the kernel knows, and its numbers.
    given = *shape, *np.delete(layer.W.shape, 1), *after[1:], layer.stride, layer.pad
    plan.add(
        kinds.CONVOLUTION, source=x, target=y, W=layer.W, b=layer.b, words=len(given),
        given=np.array(given, np.int64), of=name,
    )  # fmt: skip
    _take_workspace(plan, layer, shape, after, 0, plan.batch)
    plan.flops += _flops(plan, layer, after)
    return y


def _backward(plan: Plan, name: str, layer: Convolution, d: Buffer, wanted: bool) -> Buffer:
    """Add a step that leaves the gradients of each unit, which updates add up."""
    shape = plan.shapes[name]
    after = layer.output_shape(shape)
    dx = plan.buffer(f"{name} input gradient", math.prod(shape)) if wanted else None
    size = layer.W.size + layer.b.size
    sums = plan.memory(f"{name} gradients of units", (plan.units, size))
    plan.sums[name] = {"W": Summed(sums, 0), "b": Summed(sums, layer.W.size)}
    given = *after, *shape, *layer.W.shape[2:], layer.stride, layer.pad
    plan.add(
        kinds.CONVOLUTION_GRADIENT, source=d, target=dx, other=plan.inputs[name],
        h=math.prod(shape), W=layer.W, partial=sums, filters=layer.W.size, unit_step=size,
        words=len(given), given=np.array(given, np.int64), of=name,
    )  # fmt: skip
    form = strips.BACKWARD | (strips.INPUT if wanted else 0)
    _take_workspace(plan, layer, shape, after, form, min(UNIT, plan.batch))
    plan.flops += _flops(plan, layer, after) * (2 if wanted else 1)
    return d if dx is None else dx


def _flops(plan: Plan, layer: Convolution, after: Shape) -> int:
    return 2 * plan.batch * int(layer.W.size) * math.prod(after[1:])


def _take_workspace(
    plan: Plan, layer: Convolution, shape: Shape, after: Shape, form: int, most: int
) -> None:
    """Let there be what the kernel works in, for so many images or fewer."""
    forms = (form, form | strips.EXACT) if form & strips.INPUT else (form,)
    for n, each in product({*range(1, min(UNIT, most)), most}, forms):
        cut = strips.cut_of(
            (n, *shape), layer.W.shape, after[1:], layer.stride, layer.pad, plan.itemsize, each, 1
        )
        plan.scratch(strips.elements(cut, 1) + 2 * CACHE_LINE // plan.itemsize)


def _shapes(layer: Convolution, shape: Shape) -> tuple[Shape, dict[str, Shape]]:
    try:
        after = layer.output_shape(shape)
    except ValueError as error:
        raise Unsupported(str(error)) from None
    return after, {"W": (after[0], shape[0], *np.shape(layer.W)[2:]), "b": after[:1]}


register(
    Record(
        Convolution,
        "convolution",
        parameters=("W", "b"),
        decayed=("W",),
        form=("stride", "pad"),
        kept=("x",),
        smooth=True,
        forward=_forward,
        backward=_backward,
        fold=scale_weights,
        shapes=_shapes,
    )
)
