"""Batch normalisation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
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
from fastnn.layers.activations import Relu
from fastnn.layers.affine import Affine, AffineRelu
from fastnn.layers.convolution import Convolution
from fastnn.layers.folding import Folding
from fastnn.layers.parameters import where_of
from fastnn.layers.planning import Buffer, Gradient, Held, Plan, Unsupported
from fastnn.layers.record import Record, register
from fastnn.layers.scaling import Scaling
from fastnn.layers.settings import Setting
from fastnn.layers.sizes import Shape, expect_arrays, without_sizes


def without_batch(name: str) -> ValueError:
    """Return an error for a training whose batches all have one sample."""
    return ValueError(
        f"batch_size: expected at least 2 samples a step with batch normalisation "
        f"({where_of(name)}): one is its own mean and has no variance, got 1"
    )


class BatchNormalization(Scaling):
    """Batch normalisation (Ioffe and Szegedy, 2015).

    A training batch with one number a feature, one row or one pixel, has no variance: its output is
    `beta`, and running statistics stay as they are. Those take the biased variance, the mean of
    squared deviations; PyTorch's take the unbiased one, which would be 0 / 0 here.

    Parameters
    ----------
    gamma, beta : ndarray, shape (D,) or (C,), optional
        Scale and shift; kept, not copied. Without both :meth:`build`, which a
        :class:`fastnn.Network` calls, makes ones and zeros.
    momentum : float
        Weight of the old value in the running statistics, in [0, 1].
    running_mean, running_var : ndarray, optional
        Statistics for inference; updated in place. Zeros at the first forward pass if not
        given, as in the book.
    eps : float
        Added to the variance.
    per_pixel : bool
        What images of shape (N, C, H, W) share statistics over. False: N, H and W, so that
        gamma and beta have shape (C,), as in the paper. True: N alone, as in the book's
        code, with shape (C * H * W,).

    Attributes
    ----------
    dgamma, dbeta : ndarray or None
        Gradients of the last backward pass.
    input_shape : tuple of int or None
        Shape of the last training batch.
    batch_size : int or None
        Samples in the last training batch.
    """

    momentum = Setting(numbers.fraction)
    eps = Setting(numbers.not_negative)
    per_pixel = Setting(numbers.flag)

    def __init__(
        self,
        gamma: Array | None = None,
        beta: Array | None = None,
        momentum: SupportsFloat = 0.9,
        running_mean: Array | None = None,
        running_var: Array | None = None,
        *,
        eps: SupportsFloat = 1e-6,
        per_pixel: bool = False,
    ) -> None:
        if gamma is not None or beta is not None:
            expect_arrays("gamma", gamma, "beta", beta)
        self.gamma: Any = gamma
        self.beta: Any = beta
        self.momentum = momentum
        self.running_mean = running_mean
        self.running_var = running_var
        self.eps = eps
        self.per_pixel = per_pixel
        self.input_shape: tuple[int, ...] | None = None
        self.batch_size: int | None = None
        self.dgamma: Array | None = None
        self.dbeta: Array | None = None
        self._saved: tuple[Array, Array, Array] | None = None

    def __repr__(self) -> str:
        """Return what it is: its kind, and settings that are not the usual ones."""
        return of_settings(self, ("momentum", "eps", "per_pixel"), changed=True)

    def _features(self, shape: Shape) -> int:
        return math.prod(shape) if self.per_pixel else shape[0]

    def _flat(self, x: Array) -> Array:
        return x.reshape(x.shape[0], -1) if self.per_pixel and x.ndim > 2 else x

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Normalise by the batch's statistics in training, else by the running ones."""
        if self.gamma is None:
            raise without_sizes(self, "forward")
        x = np.asarray(x)
        shape, x = x.shape, self._flat(x)
        dtype = np.float32 if x.dtype == np.float32 else np.float64
        statistics = (
            np.zeros(x.shape[1:2], dtype) if array is None else array
            for array in (self.running_mean, self.running_var)
        )
        if not train_flg:
            return self._infer(x, self.gamma, self.beta, *statistics, self.eps).reshape(shape)
        self.running_mean, self.running_var = statistics
        given = x, self.gamma, self.beta, self.running_mean, self.running_var
        if x.size == np.size(self.gamma):  # one number a feature has no variance
            given = *given[:3], self.running_mean.copy(), self.running_var.copy()
        y, mean, rstd = self._train(*given, self.momentum, self.eps)
        self.input_shape, self.batch_size = shape, x.shape[0]
        self._saved = x, mean, rstd
        return y.reshape(shape)

    @property
    def is_alone(self) -> bool:
        """Whether the last input had one number for each feature."""
        return self.input_shape is not None and math.prod(self.input_shape) == np.size(self.gamma)

    def _train(self, *given: Any) -> tuple[Array, Array, Array]:
        return ops.batchnorm(*given)

    def _infer(self, *given: Any) -> Array:
        return ops.batchnorm_inference(*given)

    def _gradients(self, *given: Any) -> tuple[Array, Array, Array]:
        return ops.batchnorm_backward(*given)

    def backward(self, dout: ArrayLike) -> Array:
        """Return the gradient through the batch's statistics; leave dgamma and dbeta."""
        x, mean, rstd = after_forward(self, self._saved)
        dout = np.asarray(dout)
        shape = dout.shape
        dx, self.dgamma, self.dbeta = self._gradients(self._flat(dout), x, self.gamma, mean, rstd)
        return dx.reshape(shape)


class BatchNormRelu(BatchNormalization):
    """Batch normalisation and ReLU in one: a BatchNormalization and a Relu layer, fused.

    Parameters and attributes are those of :class:`BatchNormalization`.
    """

    _y: Array | None = None

    @property
    def mask(self) -> Mask | None:
        """True where what was normalised was at or below zero in the last training pass."""
        if self._y is None:
            return None
        assert self.input_shape is not None
        return (self._y <= 0).reshape(self.input_shape)

    def _train(self, *given: Any) -> tuple[Array, Array, Array]:
        y, mean, rstd = ops.batchnorm_relu(*given)
        self._y = y
        return y, mean, rstd

    def _infer(self, *given: Any) -> Array:
        return ops.batchnorm_relu_inference(*given)

    def _gradients(self, *given: Any) -> tuple[Array, Array, Array]:
        y: Array = after_forward(self, self._y)
        dout, x, gamma, mean, rstd = given
        return ops.batchnorm_relu_backward(dout, x, gamma, mean, rstd, y)


@dataclass(frozen=True)
class _Steps:
    """The steps of batch normalisation."""

    moments: Step
    finish_moments: Step
    normalise: Step
    sums: Step
    finish_sums: Step
    gradient: Step


_OF_ROWS = _Steps(
    kinds.MOMENTS, kinds.FINISH_MOMENTS, kinds.NORMALISE,
    kinds.GRADIENT_SUMS, kinds.FINISH_SUMS, kinds.NORM_GRADIENT,
)  # fmt: skip
_OF_IMAGES = _Steps(
    kinds.IMAGE_MOMENTS, kinds.FINISH_IMAGE_MOMENTS, kinds.IMAGE_NORMALISE,
    kinds.IMAGE_SUMS, kinds.FINISH_IMAGE_SUMS, kinds.IMAGE_NORM_GRADIENT,
)  # fmt: skip


def _shapes(layer: BatchNormalization, shape: Shape) -> tuple[Shape, dict[str, Shape]]:
    size = (math.prod(shape) if layer.per_pixel else shape[0],)
    return shape, {"gamma": size, "beta": size}


def _memory(plan: Plan, name: str, layer: BatchNormalization) -> dict[str, Any]:
    """Return what all steps of a layer work with."""
    size = layer.gamma.size
    return {
        "pixels": math.prod(plan.shapes[name]) // size,
        # Three sums for each unit and for all, and then for each unit again, of float64 always.
        "partial": plan.memory(f"{name} sums", (2 * plan.units + 1, 3, size * 8 // plan.itemsize)),
        "scales": plan.memory(f"{name} scales", (3, size)),
        "mean": plan.memory(f"{name} mean", (size,)),
        "rstd": plan.memory(f"{name} rstd", (size,)),
        "gamma": layer.gamma,
        "beta": layer.beta,
        "dgamma": Gradient(name, "gamma"),
        "dbeta": Gradient(name, "beta"),
        "running_mean": Held(layer, "running_mean"),
        "running_var": Held(layer, "running_var"),
    }


def _steps(memory: dict[str, Any]) -> _Steps:
    """Return the steps for rows, or for images whose pixels have statistics in common."""
    return _OF_ROWS if memory["pixels"] == 1 else _OF_IMAGES


def _normalise(plan: Plan, name: str, x: Buffer, memory: dict[str, Any], relu: bool) -> Buffer:
    y = plan.buffer(f"{name} output", x.columns)
    y.needed = y.zeros = relu
    plan.add(_steps(memory).normalise, source=x, target=y, low=0.0 if relu else -np.inf, **memory)
    return y


def _forward(
    plan: Plan, name: str, layer: BatchNormalization, x: Buffer, relu: bool = False
) -> Buffer:
    """Add steps that measure a batch, for which all wait, and normalise it."""
    memory = plan.kept[name] = _memory(plan, name, layer)
    steps = _steps(memory)
    plan.add(steps.moments, source=x, **memory)
    plan.end_segment(
        steps.finish_moments, source=x, momentum=layer.momentum, eps=layer.eps, **memory
    )
    return _normalise(plan, name, x, memory, relu)


def _forward_given(
    plan: Plan,
    name: str,
    layer: BatchNormalization,
    x: Buffer,
    training: bool,
    relu: bool = False,
) -> Buffer:
    """Normalise by a mean and deviation that are there, if not in training."""
    if training:
        return _forward(plan, name, layer, x, relu)
    return _normalise(plan, name, x, _memory(plan, name, layer), relu)


def _backward(
    plan: Plan,
    name: str,
    layer: BatchNormalization,
    d: Buffer,
    wanted: bool,
    relu: bool = False,
) -> Buffer:
    steps = _steps(plan.kept[name])
    where = {"source": d, "target": d, "other": plan.inputs[name], **plan.kept[name]}
    if relu:
        where["output"] = plan.outputs[name]
    plan.add(steps.sums, **where)
    plan.end_segment(steps.finish_sums, source=d, **plan.kept[name])
    if wanted:
        plan.add(steps.gradient, **where)
    return d


def _fold(
    folding: Folding, name: str, layer: BatchNormalization, kind: type[Affine] = Affine
) -> None:
    """Put it into the weights of the affine layer before, with its ReLU if it has one."""
    folding.expect_no_factor(name)
    before, found = folding.found[-1] if folding.found else ("", None)
    if type(found) is Convolution and not layer.per_pixel:
        folding.found[-1] = before, Convolution(*_normalised(found, layer), found.stride, found.pad)
        if kind is AffineRelu:
            folding.add(name, Relu())
    elif type(found) is Affine:
        folding.found[-1] = before, kind(*_normalised(found, layer))
    else:
        raise Unsupported(f"{name} does not follow an affine layer or a convolution")


def _normalised(affine: Affine | Convolution, norm: BatchNormalization) -> tuple[Array, Array]:
    """Return weights and bias for such a layer and batch normalisation after it."""
    if norm.running_mean is None or norm.running_var is None:
        raise Unsupported("batch normalisation has no statistics yet")
    of_norm = norm.gamma, norm.beta, norm.running_mean, norm.running_var
    if any(np.shape(array) != affine.b.shape for array in of_norm):
        raise Unsupported("batch normalisation is of another width")
    with np.errstate(all="ignore"):
        scale = norm.gamma / np.sqrt(norm.running_var + norm.running_var.dtype.type(norm.eps))
        W = affine.W * (scale if affine.W.ndim == 2 else scale[:, None, None, None])
        b = (affine.b - norm.running_mean) * scale + norm.beta
    if W.dtype != affine.W.dtype or not (np.isfinite(W).all() and np.isfinite(b).all()):
        raise Unsupported("weights with batch normalisation in them are out of range")
    return W, np.ascontiguousarray(b, W.dtype)


_NORM = register(
    Record(
        BatchNormalization,
        "batch normalisation",
        parameters=("gamma", "beta"),
        settings=("momentum", "eps"),
        form=("per_pixel",),
        statistics=("running_mean", "running_var"),
        sizes=("running_var",),
        kept=("_saved",),
        left=("input_shape", "batch_size"),
        smooth=True,
        forward=_forward,
        backward=_backward,
        forward_given=_forward_given,
        fold=_fold,
        shapes=_shapes,
        absorbs={Relu: partial(_forward, relu=True)},
    )
)
register(
    replace(
        _NORM,
        kind=BatchNormRelu,
        label="batch normalisation + ReLU",
        kept=(*_NORM.kept, "_y"),
        activation="relu",
        initial="he",
        can_die=True,
        smooth=False,
        absorbs={},
        forward=partial(_forward, relu=True),
        backward=partial(_backward, relu=True),
        forward_given=partial(_forward_given, relu=True),
        fold=partial(_fold, kind=AffineRelu),
    )
)
