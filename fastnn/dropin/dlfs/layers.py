"""``common.layers``: the book's layers.

Attributes that a script can see but a kernel has no use for (columns, normalised inputs, what
layers of a network keep between calls of its methods) are computed when they are asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn._utils.reprs import of_settings
from fastnn.dropin.dlfs import functions
from fastnn.dropin.dlfs._computed import Computed
from fastnn.dropin.dlfs._usual import usual
from fastnn.dropin.dlfs.batchnorm import BatchNormalization
from fastnn.dropin.dlfs.convolution import Convolution, Pooling
from fastnn.dropin.dlfs.functions import *  # noqa: F403 (scripts find these here, too)
from fastnn.dropin.dlfs.functions import cross_entropy_error, sigmoid, softmax
from fastnn.dropin.dlfs.util import col2im, im2col

__all__ = [
    *functions.__all__,
    "Affine",
    "BatchNormalization",
    "Convolution",
    "Dropout",
    "Pooling",
    "Relu",
    "Sigmoid",
    "SoftmaxWithLoss",
    "col2im",
    "im2col",
]


class Relu(Computed):
    """max(x, 0).

    Attributes
    ----------
    mask : ndarray of bool or None
        Where the last input was at or below zero.
    """

    def __init__(self) -> None:
        self.mask: Any = None

    def forward(self, x: Any) -> Any:
        """Return max(x, 0) as a new array."""
        self.mask = x <= 0
        if usual(x):
            return ops.relu(x)
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout: Any) -> Any:
        """Write zeros into `dout` where the mask is true, and return it."""
        dout[self.mask] = 0
        return dout


class Sigmoid(Computed):
    """1 / (1 + exp(-x)).

    Attributes
    ----------
    out : ndarray or None
        The last output.
    """

    def __init__(self) -> None:
        self.out: Any = None

    def forward(self, x: Any) -> Any:
        """Return 1 / (1 + exp(-x))."""
        self.out = sigmoid(x)
        return self.out

    def backward(self, dout: Any) -> Any:
        """Return dout (1 - out) out."""
        if usual(dout, self.out) and dout.shape == self.out.shape:
            return ops.sigmoid_backward(dout, self.out)
        return dout * (1.0 - self.out) * self.out


class Affine(Computed):
    """x W + b, for one row of `x` a sample.

    Attributes
    ----------
    W, b : ndarray
    x : ndarray, shape (N, D), or None
        The last input, flattened.
    original_x_shape : tuple of int or None
        The shape that it came in.
    dW, db : ndarray or None
        Gradients of the last backward pass.
    """

    def __init__(self, W: Any, b: Any) -> None:
        self.W = W
        self.b = b
        self.x: Any = None
        self.original_x_shape: Any = None
        self.dW: Any = None
        self.db: Any = None

    def forward(self, x: Any) -> Any:
        """Return x W + b."""
        self.original_x_shape = x.shape
        self.x = x.reshape(x.shape[0], -1)
        x = _as_weights(self.x, self.W)
        if _fits(x, self.W, self.b) and self.b.shape == self.W.shape[1:]:
            return ops.affine(x, self.W, self.b)
        return np.dot(self.x, self.W) + self.b

    def backward(self, dout: Any) -> Any:
        """Return dout W^T in the input's shape; leave x^T dout and the column sums of dout."""
        x = _as_weights(self.x, self.W)
        if _fits(x, self.W, dout) and dout.shape == (len(x), self.W.shape[1]):
            gradients: tuple[Any, ...] = ops.affine_backward(dout, x, self.W)
            dx, self.dW, self.db = gradients
        else:
            dx = np.dot(dout, self.W.T)
            self.dW = np.dot(self.x.T, dout)
            self.db = np.sum(dout, axis=0)
        return dx.reshape(*self.original_x_shape)


def _as_weights(x: Any, W: Any) -> Any:
    """Return float32 samples as float64 where weights are, as in the book: products are, too.

    Here it takes a tenth of the time that the checks of a function for arrays of any kind take.
    """
    if type(x) is np.ndarray is type(W) and x.dtype == np.float32 and W.dtype == np.float64:
        return x.astype(np.float64)
    return x


def _fits(x: Any, W: Any, other: Any) -> bool:
    """Say whether x W and what goes with it are for the kernels, as far as x and W say."""
    return usual(x, W, other) and W.ndim == x.ndim == 2 and x.shape[1] == len(W)


class SoftmaxWithLoss(Computed):
    """Softmax and cross-entropy, averaged over the batch.

    Attributes
    ----------
    loss : float or None
        The last loss.
    y : ndarray or None
        Its probabilities.
    t : ndarray or None
        Its labels, or one-hot targets.
    """

    def __init__(self) -> None:
        self.loss: Any = None
        self.y: Any = None
        self.t: Any = None

    def forward(self, x: Any, t: Any) -> Any:
        """Return the loss for scores and labels (N,) or targets (N, C)."""
        self.t = t
        self.y = softmax(x)
        self.loss = self._error(self.y, self.t)
        return self.loss

    def _error(self, y: Any, t: Any) -> Any:
        return cross_entropy_error(y, t)

    def keep(self, x: Any, t: Any) -> None:
        """Keep what :meth:`forward` does, computed from the scores when it is asked for."""
        self.t = t
        labels = t.copy()  # scripts may change theirs
        self._compute_later(y=lambda: softmax(x), loss=lambda: self._error(softmax(x), labels))

    def backward(self, dout: Any = 1) -> Any:
        """Return the gradient with respect to the scores; `dout` is not used, as in the book."""
        n = self.t.shape[0]
        if self.t.size == self.y.size:
            return (self.y - self.t) / n
        dx = self.y.copy()
        dx[np.arange(n), self.t] -= 1
        return dx / n


class Dropout:
    """Dropout with the masks of NumPy's global generator, scaled at test time.

    Attributes
    ----------
    mask : ndarray of bool or None
        What the last training pass kept.
    """

    def __init__(self, dropout_ratio: Any = 0.5) -> None:
        self.dropout_ratio = dropout_ratio
        self.mask: Any = None

    def __repr__(self) -> str:
        return of_settings(self)

    def forward(self, x: Any, train_flg: Any = True) -> Any:
        """Drop elements in training, else scale all."""
        if not train_flg:
            return x * (1.0 - self.dropout_ratio)
        self.draw(x.shape)
        return x * self.mask

    def draw(self, shape: tuple[int, ...]) -> None:
        """Draw a mask."""
        self.mask = np.random.rand(*shape) > self.dropout_ratio  # noqa: NPY002

    def backward(self, dout: Any) -> Any:
        """Return dout where elements were kept, else 0."""
        return dout * self.mask
