"""Batch normalisation."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn import ops
from fastnn._utils import validation as numbers
from fastnn._utils.types import Array, Mask
from fastnn.layers._kept import after_forward
from fastnn.layers.record import Record, register
from fastnn.layers.sizes import Shape, expect_arrays, without_sizes


class BatchNormalization:
    """Batch normalisation (Ioffe and Szegedy, 2015).

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
        Shape of the last input.
    batch_size : int or None
        Samples in the last training batch.
    """

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
        self.momentum = numbers.fraction("momentum", momentum)
        self.running_mean = running_mean
        self.running_var = running_var
        self.eps = numbers.not_negative("eps", eps)
        self.per_pixel = per_pixel
        self.input_shape: tuple[int, ...] | None = None
        self.batch_size: int | None = None
        self.dgamma: Array | None = None
        self.dbeta: Array | None = None
        self._saved: tuple[Array, Array, Array] | None = None

    def __repr__(self) -> str:
        """Return what it is: its kind."""
        return f"{type(self).__name__}({'per_pixel=True' if self.per_pixel else ''})"

    def build(
        self, shape: Shape, rng: object = None, dtype: DTypeLike = np.float32, init: object = None
    ) -> Shape:
        """Make scale and shift, ones and zeros, for samples of a shape.

        Parameters
        ----------
        shape : tuple of int
            Of a sample.
        rng, init : object
            As other layers take them; not used.
        dtype : dtype

        Returns
        -------
        tuple of int
            The shape of the output for a sample.
        """
        if self.gamma is None:
            size = self._features(shape)
            self.gamma, self.beta = np.ones(size, dtype), np.zeros(size, dtype)
        return self.output_shape(shape)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the output for a sample, its own; raise if it does not fit."""
        if self.gamma is not None and np.shape(self.gamma) != (self._features(shape),):
            raise ValueError(
                f"expected samples for gamma of shape {np.shape(self.gamma)}, got shape {shape}"
            )
        return shape

    def _features(self, shape: Shape) -> int:
        return math.prod(shape) if self.per_pixel else shape[0]

    def _flat(self, x: Array) -> Array:
        return x.reshape(x.shape[0], -1) if self.per_pixel and x.ndim > 2 else x

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Normalise by the batch's statistics in training, else by the running ones."""
        if self.gamma is None:
            raise without_sizes(self, "forward")
        x = np.asarray(x)
        self.input_shape = x.shape
        x = self._flat(x)
        dtype = np.float32 if x.dtype == np.float32 else np.float64
        if self.running_mean is None:
            self.running_mean = np.zeros(x.shape[1:2], dtype)
        if self.running_var is None:
            self.running_var = np.zeros(x.shape[1:2], dtype)
        given = x, self.gamma, self.beta, self.running_mean, self.running_var
        if train_flg:
            y, mean, rstd = self._train(*given, self.momentum, self.eps)
            self.batch_size = x.shape[0]
            self._saved = x, mean, rstd
        else:
            y = self._infer(*given, self.eps)
            self._saved = None
        return y.reshape(self.input_shape)

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
        """True where what was normalised was at or below zero in the last forward pass."""
        if self._y is None:
            return None
        assert self.input_shape is not None
        return (self._y <= 0).reshape(self.input_shape)

    def _train(self, *given: Any) -> tuple[Array, Array, Array]:
        self._y, mean, rstd = ops.batchnorm_relu(*given)
        return self._y, mean, rstd

    def _infer(self, *given: Any) -> Array:
        self._y = ops.batchnorm_relu_inference(*given)
        return self._y

    def _gradients(self, *given: Any) -> tuple[Array, Array, Array]:
        y: Array = after_forward(self, self._y)
        dout, x, gamma, mean, rstd = given
        return ops.batchnorm_relu_backward(dout, x, gamma, mean, rstd, y)


_NORM = Record(
    BatchNormalization,
    "batch normalisation",
    parameters=("gamma", "beta"),
    settings=("momentum", "eps"),
    form=("per_pixel",),
    statistics=("running_mean", "running_var"),
    kept=("_saved",),
    left=("input_shape", "batch_size"),
    smooth=True,
)
register(_NORM)
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
    )
)
