"""Batch normalisation as in ``common.layers``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.dropin.dlfs._computed import Computed
from fastnn.dropin.dlfs._usual import usual

__all__ = ["EPS", "BatchNormalization"]

EPS = 10e-7


class BatchNormalization(Computed):
    """Batch normalisation; of images, each pixel has statistics of its own.

    Attributes
    ----------
    gamma, beta, momentum
        As given.
    running_mean, running_var : ndarray or None
        New arrays after each training pass; zeros before the first if not given.
    input_shape : tuple of int or None
    batch_size : int or None
    xc, std, xn : ndarray
        Of the last training pass: input less its mean, standard deviation, their quotient.
    dgamma, dbeta : ndarray or None
    """

    def __init__(
        self,
        gamma: Any,
        beta: Any,
        momentum: Any = 0.9,
        running_mean: Any = None,
        running_var: Any = None,
    ) -> None:
        self.gamma = gamma
        self.beta = beta
        self.momentum = momentum
        self.input_shape: Any = None
        self.running_mean = running_mean
        self.running_var = running_var
        self.batch_size: Any = None
        self.xc: Any = None
        self.std: Any = None
        self.dgamma: Any = None
        self.dbeta: Any = None
        self._saved: Any = None  # input, mean, 1 / std where a kernel has normalised

    def forward(self, x: Any, train_flg: Any = True) -> Any:
        """Normalise by the batch's statistics in training, else by the running ones."""
        self.input_shape = x.shape
        x = _rows(x)
        self.begin(x.shape[1])
        kernels = self._are_for_kernels(x, self.running_mean, self.running_var)
        if not train_flg:
            out = (self._infer if kernels else self._infer_by_formula)(x)
        elif kernels and 0 <= self.momentum <= 1:
            out = self._train(x)
        else:
            out = self._train_by_formula(x)
        return out.reshape(*self.input_shape)

    def begin(self, features: int) -> None:
        """Let the running statistics begin at zero, if there are none."""
        if self.running_mean is None:
            self.running_mean = np.zeros(features)
            self.running_var = np.zeros(features)

    def _are_for_kernels(self, x: Any, *features: Any) -> bool:
        features = (self.gamma, self.beta, *features)
        return (
            usual(x, *features)
            and x.ndim == 2
            and x.size > 0
            and all(array.dtype == np.float64 and array.shape == x.shape[1:] for array in features)
        )

    def _train(self, x: Any) -> Any:
        self.running_mean, self.running_var = self.running_mean.copy(), self.running_var.copy()
        x = x.copy()  # scripts may change theirs before the backward pass
        out, mean, rstd = ops.batchnorm(
            x, self.gamma, self.beta, self.running_mean, self.running_var, self.momentum, EPS
        )
        self.batch_size, self._saved = len(x), (x, mean, rstd)
        self._compute_later(**self.computed())
        return out

    def computed(self) -> dict[str, Callable[[], Any]]:
        """Return how to compute what scripts may ask for after a pass by a kernel."""
        return {
            "xc": lambda: self._saved[0] - self._saved[1],
            "std": lambda: 1 / self._saved[2],
            "xn": lambda: self.xc / self.std,
        }

    def _train_by_formula(self, x: Any) -> Any:
        mu = x.mean(axis=0)
        self.xc = x - mu
        var = np.mean(self.xc**2, axis=0)
        self.std = np.sqrt(var + EPS)
        self.xn = self.xc / self.std
        self.batch_size, self._saved = x.shape[0], None
        kept = self.momentum
        self.running_mean = kept * self.running_mean + (1 - kept) * mu
        self.running_var = kept * self.running_var + (1 - kept) * var
        return self.gamma * self.xn + self.beta

    def _infer(self, x: Any) -> Any:
        return ops.batchnorm_inference(
            x, self.gamma, self.beta, self.running_mean, self.running_var, EPS
        )

    def _infer_by_formula(self, x: Any) -> Any:
        xn = (x - self.running_mean) / np.sqrt(self.running_var + EPS)
        return self.gamma * xn + self.beta

    def backward(self, dout: Any) -> Any:
        """Return the gradient through the batch's statistics; leave dgamma and dbeta."""
        dout = _rows(dout)
        saved = getattr(self, "_saved", None)  # the book's layers, pickled, have none
        if saved and self._are_for_kernels(dout) and dout.shape == saved[0].shape:
            x, mean, rstd = saved
            dx, self.dgamma, self.dbeta = ops.batchnorm_backward(dout, x, self.gamma, mean, rstd)
        else:
            dx = self._backward_by_formula(dout)
        return dx.reshape(*self.input_shape)

    def _backward_by_formula(self, dout: Any) -> Any:
        n = self.batch_size
        self.dbeta = dout.sum(axis=0)
        self.dgamma = np.sum(self.xn * dout, axis=0)
        dxn = self.gamma * dout
        dxc = dxn / self.std
        dstd = -np.sum((dxn * self.xc) / (self.std * self.std), axis=0)
        dxc += (2.0 / n) * self.xc * (0.5 * dstd / self.std)
        return dxc - np.sum(dxc, axis=0) / n


def _rows(x: Any) -> Any:
    """Return images as one row each."""
    if x.ndim == 2:
        return x
    n, _, _, _ = x.shape
    return x.reshape(n, -1)
