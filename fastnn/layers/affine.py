"""Affine layers."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn import ops
from fastnn._utils import validation as numbers
from fastnn._utils.types import Array, Mask
from fastnn.kernels.gemm.sizes import RELU as _RELU
from fastnn.kernels.gemm.sizes import is_few, packed_size, packs_b, scratch_size
from fastnn.kernels.program import kinds
from fastnn.layers._kept import after_forward
from fastnn.layers.activations import RELU, Relu
from fastnn.layers.folding import scale_weights
from fastnn.layers.planning import Buffer, Gradient, Plan, Product
from fastnn.layers.record import Record, register
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


class Affine(Trained):
    """Affine map x W + b; an input with more than two axes is flattened per sample.

    Parameters
    ----------
    W : ndarray, shape (D, H), or int
        Weights; kept, not copied, so that an update in place is seen. Or their number of columns
        H: then :meth:`build`, which a :class:`fastnn.Network` calls, makes both arrays.
    b : ndarray, shape (H,), optional
        Bias; kept, not copied. Only beside an array `W`.
    init : str, float or function, optional
        Initial weights where `W` is an int: "he", "xavier", "glorot_normal", "glorot_uniform", a
        standard deviation, or ``f(shape, rng=..., dtype=...)``. If not given, whoever builds the
        layer chooses.

    Attributes
    ----------
    x : ndarray, shape (N, D), or None
        The last input in training, flattened.
    original_x_shape : tuple of int or None
        The shape that it came in.
    dW, db : ndarray or None
        Gradients of the last backward pass.
    input_gradient : bool
        True at first. False saves the gradient with respect to the input, which the first
        layer of a network has no use for; backward then returns None.
    """

    _units = 0  # of a layer to build
    _init: Init | None = None

    def __init__(
        self, W: Array | SupportsIndex, b: Array | None = None, *, init: Init | None = None
    ) -> None:
        self.W: Any = W
        self.b: Any = b
        if is_size(W) and b is None:
            self._units, self._init = numbers.integer("W", W, 1), initial_rule(init)
            self.W = None
        else:
            expect_arrays("W", W, "b", b, init)
        self.x: Array | None = None
        self.original_x_shape: tuple[int, ...] | None = None
        self.dW: Array | None = None
        self.db: Array | None = None
        self.input_gradient = True

    def __repr__(self) -> str:
        """Return what it is: kind and units."""
        return f"{type(self).__name__}({self._units if self.W is None else np.shape(self.W)[-1]})"

    def build(
        self,
        shape: Shape,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float32,
        init: Init = "xavier",
    ) -> Shape:
        """Make weights and bias, which is zero, for samples of a shape.

        Parameters
        ----------
        shape : tuple of int
            Of a sample.
        rng : numpy.random.Generator, int or None
            Generator, or the seed of a new one.
        dtype : dtype
        init : str, float or function
            Initial weights if the layer has no `init` of its own.

        Returns
        -------
        tuple of int
            The shape of the output for a sample.
        """
        after = self.output_shape(shape)
        if self.W is None:
            rule = initial_rule(init if self._init is None else self._init)
            assert rule is not None
            sizes = math.prod(shape), self._units
            self.W = initial_weights(rule, sizes, np.random.default_rng(rng), dtype)
            self.b = np.zeros(self._units, dtype)
            del self._units, self._init  # which may be a function that pickle does not take
        return after

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the output for a sample of a shape; raise if it does not fit."""
        if self.W is None:
            return (self._units,)
        features, units = np.shape(self.W)
        if np.shape(self.b) != (units,):
            raise ValueError(f"b: expected shape ({units},), like W's rows, got {np.shape(self.b)}")
        if math.prod(shape) != features:
            raise ValueError(
                f"expected samples of {features} features, one for each row of W, got shape {shape}"
            )
        return (units,)

    def _rows(self, x: ArrayLike) -> tuple[Array, tuple[int, ...]]:
        """Return samples as rows, and their shape."""
        if self.W is None:
            raise without_sizes(self, "forward")
        x = np.asarray(x)
        if x.ndim < 2:
            raise ValueError(
                f"x: expected shape (N, ...), one row a sample, got {x.shape}; "
                "x[np.newaxis] makes a batch of one sample"
            )
        size = int(np.prod(x.shape[1:]))
        return (x.reshape(x.shape[0], size) if x.ndim != 2 else x), x.shape

    def _return(self, gradients: tuple[Array | None, Array, Array]) -> Array | None:
        dx, self.dW, self.db = gradients
        assert self.original_x_shape is not None
        return None if dx is None else dx.reshape(self.original_x_shape)

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return x W + b, shape (N, H)."""
        rows, shape = self._rows(x)
        y = ops.affine(rows, self.W, self.b)
        if train_flg:
            self.x, self.original_x_shape = rows, shape
        return y

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

    def __init__(
        self, W: Array | SupportsIndex, b: Array | None = None, *, init: Init | None = None
    ) -> None:
        super().__init__(W, b, init=init)
        self._y: Array | None = None

    @property
    def mask(self) -> Mask | None:
        """True where x W + b was at or below zero in the last training pass."""
        return None if self._y is None else self._y <= 0

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return max(x W + b, 0), shape (N, H)."""
        rows, shape = self._rows(x)
        y = ops.affine_relu(rows, self.W, self.b)
        if train_flg:
            self.x, self.original_x_shape, self._y = rows, shape, y
        return y

    def backward(self, dout: ArrayLike) -> Array | None:
        """Return the gradient in the input's shape; leave dW and db."""
        y = after_forward(self, self._y)
        return self._return(
            ops.affine_relu_backward(
                dout, after_forward(self, self.x), self.W, y, input_gradient=self.input_gradient
            )
        )


def _forward(plan: Plan, name: str, layer: Affine, x: Buffer, relu: bool = False) -> Buffer:
    n, (d, h) = plan.batch, layer.W.shape
    y = plan.buffer(f"{name} output", h)
    y.needed = y.zeros = relu
    product = plan.products[name] = Product("W", "b", x, plan.half(x, h))
    flags = _RELU if relu else 0
    if product.cut:
        _add_halves(plan, name, layer, product, y, flags)
    else:
        if packs_b(n, d, h, plan.itemsize):
            product.packed = plan.memory(f"{name} W packed", (packed_size(d, h, plan.itemsize),))
        plan.add(
            kinds.AFFINE, source=x, target=y, W=layer.W, b=layer.b, packed=product.packed,
            columns=d, flags=flags, of=name,
        )  # fmt: skip
    plan.scratch(max(scratch_size(n, d, h, plan.itemsize), scratch_size(d, n, h, plan.itemsize)))
    plan.flops += 2 * n * layer.W.size
    return y


def _add_halves(
    plan: Plan, name: str, layer: Affine, product: Product, y: Buffer, flags: int
) -> None:
    """Add steps for the product with the upper rows of W, that with the others, and their sum."""
    (d, h), cut = layer.W.shape, product.cut
    other = plan.buffer(f"{name} output, other part", h)
    whole = {"other": y, "b": layer.b, "flags": flags}
    plan.in_parts(
        [
            {
                "source": product.source, "target": target, "left": left, "columns": right - left,
                "W": layer.W[left:], "of": name, **added,
            }
            for left, right, target, added in ((0, cut, y, {}), (cut, d, other, whole))
        ]
    )  # fmt: skip
    plan.add(kinds.JOIN, source=y, other=other, target=y, b=layer.b, flags=flags)


def _backward(
    plan: Plan, name: str, layer: Affine, d: Buffer, wanted: bool, relu: bool = False
) -> Buffer:
    """Add steps for the gradients of weights, if updates do not compute them, and of the input."""
    if relu:
        d = RELU.backward(plan, name, layer, d, wanted)
    n, product, (rows, columns) = plan.batch, plan.products[name], layer.W.shape
    flops = 2 * n * layer.W.size
    product.dz = d
    plan.weight_flops += flops
    if plan.slots:
        plan.flops += flops
        plan.add(
            kinds.WEIGHT_GRADIENT, source=product.source, target=d, other=d,
            dW=Gradient(name, "W"), db=Gradient(name, "b"), of=name,
        )  # fmt: skip
    elif packs_b(rows, n, columns, plan.itemsize):
        size = packed_size(n, columns, plan.itemsize)
        product.dz_packed = plan.memory(f"{name} dz packed", (size,))
        plan.add(kinds.PACK_ROWS, source=d, packed=product.dz_packed)
    if not wanted:
        return d
    if not is_few(n, columns, plan.itemsize):
        size = packed_size(columns, rows, plan.itemsize)
        product.transposed = plan.memory(f"{name} W^T packed", (size,))
    dx = plan.buffer(f"{name} input gradient", rows)
    plan.add(
        kinds.INPUT_GRADIENT, source=d, target=dx, W=layer.W, packed=product.transposed, of=name
    )
    plan.scratch(scratch_size(n, columns, rows, plan.itemsize))
    plan.flops += flops
    return dx


def _shapes(layer: Affine, shape: Shape) -> tuple[Shape, dict[str, Shape]]:
    after = np.shape(layer.W)[-1] if np.ndim(layer.W) == 2 else 0
    return (after,), {"W": (math.prod(shape), after), "b": (after,)}


_AFFINE = register(
    Record(
        Affine,
        "affine",
        parameters=("W", "b"),
        decayed=("W",),
        kept=("x", "original_x_shape"),
        smooth=True,
        forward=_forward,
        backward=_backward,
        fold=scale_weights,
        shapes=_shapes,
        absorbs={Relu: partial(_forward, relu=True)},
    )
)
register(
    replace(
        _AFFINE,
        kind=AffineRelu,
        label="affine + ReLU",
        kept=(*_AFFINE.kept, "_y"),
        activation="relu",
        initial="he",
        can_die=True,
        smooth=False,
        absorbs={},
        forward=partial(_forward, relu=True),
        backward=partial(_backward, relu=True),
    )
)
