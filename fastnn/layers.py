"""Layers: state around the functions of :mod:`fastnn.ops`.

The interface is that of *Deep Learning from Scratch*: ``forward(x)`` keeps what the backward
pass needs, ``backward(dout)`` returns the gradient with respect to the input and leaves those
of the parameters in attributes (``dW``, ``db``, ``dgamma``, ``dbeta``). Unlike the book's
layers none of them writes to its arguments. Activations keep their output, not a copy, for the
backward pass: do not change it in between.
"""

from __future__ import annotations

from typing import Any, Protocol, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from fastnn import _numbers as numbers
from fastnn import ops
from fastnn._convolution_layers import Convolution, MaxPool
from fastnn._kept import after_forward
from fastnn._types import Array, Mask

__all__ = [
    "Affine",
    "AffineRelu",
    "BatchNormRelu",
    "BatchNormalization",
    "Convolution",
    "Dropout",
    "IdentityWithLoss",
    "Layer",
    "MaxPool",
    "Relu",
    "Sigmoid",
    "SoftmaxWithLoss",
    "Tanh",
]


class Layer(Protocol):
    """What a network asks of a layer: one of this module, or of your own in ``network.layers``.

    A layer of your own with parameters names them, and training changes these arrays in place:

    - `params`: a dict of names and arrays, or a list of arrays, float32 or float64. Their keys in
      ``network.params`` are ``"<layer>.<name>"``, or ``"<layer>.0"`` and so on for a list. Weight
      decay of the network applies to those whose name begins with W, and in a list to those of
      two and more axes.
    - `grads`: from `backward` on, a gradient for each, by the same names or in the same order.

    A layer with arrays that have gradients beside them (`W` and `dW`) and without `params` is
    refused; ``params = {}`` says that they are not to be trained. So is a layer around another
    one that does not name what that has.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> class Scale:
    ...     def __init__(self, size):
    ...         self.params = {"s": np.ones(size, np.float32)}
    ...
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x * self.params["s"]
    ...
    ...     def backward(self, dout):
    ...         self.grads = {"s": (dout * self.x).sum(axis=0)}
    ...         return dout * self.params["s"]
    >>> net = MultiLayerNet(4, [8], 3, seed=0)
    >>> net.layers["Scale"] = Scale(3)
    >>> x, t = np.random.default_rng(0).normal(size=(6, 4)), np.array([0, 1, 2, 0, 1, 2])
    >>> history = net.fit(x, t, verbose=False)
    >>> list(net.params), history.reason
    (['W1', 'b1', 'W2', 'b2', 'Scale.s'], 'Scale is of type Scale')
    """

    def forward(self, x: Array, train_flg: bool = True) -> Array:
        """Return the output; `train_flg` says whether it is for a training step.

        ``forward(x)``, as in the book, will do: `train_flg` is passed where an argument has that
        name, or where the second one has no default, or True or False as its default.
        """
        ...

    def backward(self, dout: Array) -> Any:
        """Return the gradient with respect to the input of the last forward pass."""
        ...


# What layers keep of a forward pass for the backward pass, but for the mask of dropout: that of
# others is computed when asked for.
_KEPT = ("x", "original_x_shape", "_y", "out", "_saved", "argmax")
# All that passes leave in layers.
_OF_PASSES = {
    *_KEPT, "mask", "step", "input_shape", "batch_size", "_shape",
    "dW", "db", "dgamma", "dbeta", "loss", "t", "_dx",
}  # fmt: skip


def forget(layer: Any) -> None:
    """Drop what a layer of this module has kept of its last forward pass."""
    for name in _KEPT:
        if hasattr(layer, name):
            setattr(layer, name, None)
    if isinstance(layer, Dropout):
        layer.mask = None


def lasting(layer: Any) -> dict[str, Any]:
    """Return what a layer of this module has that no pass replaces: its arrays and settings."""
    return {name: value for name, value in vars(layer).items() if name not in _OF_PASSES}


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


class BatchNormalization:
    """Batch normalisation (Ioffe and Szegedy, 2015).

    Parameters
    ----------
    gamma, beta : ndarray, shape (D,) or (C,)
        Scale and shift; kept, not copied.
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
        gamma: Array,
        beta: Array,
        momentum: SupportsFloat = 0.9,
        running_mean: Array | None = None,
        running_var: Array | None = None,
        *,
        eps: SupportsFloat = 1e-6,
        per_pixel: bool = False,
    ) -> None:
        self.gamma = gamma
        self.beta = beta
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

    def _flat(self, x: Array) -> Array:
        return x.reshape(x.shape[0], -1) if self.per_pixel and x.ndim > 2 else x

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Normalise by the batch's statistics in training, else by the running ones."""
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


class Dropout:
    """Dropout (Srivastava et al., 2014).

    Parameters
    ----------
    dropout_ratio : float
        Probability of dropping an element in training, in [0, 1).
    inverted : bool
        False: scale by ``1 - dropout_ratio`` at test time, as in the book. True: divide by
        it in training.
    seed : int, optional
        Chooses the masks; a random one if not given.

    Attributes
    ----------
    mask : ndarray of bool or None
        True where the last training pass kept an element.
    step : int
        Number of the next training pass. With the seed it determines the mask, so setting
        it back repeats one.
    """

    def __init__(
        self,
        dropout_ratio: SupportsFloat = 0.5,
        *,
        inverted: bool = False,
        seed: int | None = None,
    ) -> None:
        self.dropout_ratio = numbers.below_one("dropout_ratio", dropout_ratio)
        self.inverted = inverted
        if seed is None:
            seed = int(np.random.default_rng().integers(2**63))
        self.seed = numbers.whole("seed", seed, 0, 2**64 - 1)
        self.step = 0
        self.mask: Mask | None = None

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Drop elements in training; scale as the form asks at test time."""
        if not train_flg:
            return ops.dropout_inference(x, self.dropout_ratio, inverted=self.inverted)
        y, self.mask = ops.dropout(
            x, self.dropout_ratio, self.seed, self.step, inverted=self.inverted
        )
        self.step += 1
        return y

    def backward(self, dout: ArrayLike) -> Array:
        """Return dout for the kept elements (scaled in the inverted form), else 0."""
        mask = after_forward(self, self.mask)
        return ops.dropout_backward(dout, mask, self.dropout_ratio, inverted=self.inverted)


class _WithLoss:
    """What the last layers share: targets in, a loss out, the gradient kept."""

    def __init__(self) -> None:
        self.loss: float | None = None
        self.t: ArrayLike | None = None
        self.x: ArrayLike | None = None
        self._dx: Array | None = None

    def backward(self, dout: float = 1) -> Array:
        """Return the gradient of the loss with respect to x, times `dout`."""
        dx: Array = after_forward(self, self._dx)
        return dx if dout == 1 else dx * dx.dtype.type(dout)


class SoftmaxWithLoss(_WithLoss):
    """Softmax and cross-entropy, averaged over the batch.

    Attributes
    ----------
    loss : float or None
        The last loss.
    x, t : array_like or None
        The last scores and targets.
    """

    @property
    def y(self) -> Array | None:
        """Probabilities of the last forward pass, shape (N, C), computed when asked for."""
        return None if self.x is None else ops.softmax(self.x)

    def forward(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the loss for scores x (N, C) and labels (N,) or one-hot targets (N, C)."""
        self.x, self.t = x, t
        self.loss, self._dx = ops.softmax_cross_entropy(x, t)
        return self.loss


class IdentityWithLoss(_WithLoss):
    """Identity and half the squared error, summed over outputs, averaged over the batch.

    Attributes
    ----------
    loss : float or None
        The last loss.
    x, t : array_like or None
        The last predictions and targets.
    """

    @property
    def y(self) -> ArrayLike | None:
        """The last input."""
        return self.x

    def forward(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the loss for predictions x and targets t, both (N, D)."""
        self.x, self.t = x, t
        self.loss, self._dx = ops.mean_squared_error(x, t)
        return self.loss
