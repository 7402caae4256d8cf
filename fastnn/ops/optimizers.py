"""Parameter updates in place, one array at a time."""

from __future__ import annotations

from typing import SupportsFloat, SupportsIndex

from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn.ops import _updates as updates


def sgd_(
    p: Array, g: ArrayLike, lr: SupportsFloat = 0.01, *, weight_decay: SupportsFloat = 0.0
) -> None:
    """Stochastic gradient descent, in place: p -= lr g.

    Parameters
    ----------
    p : ndarray of float32 or float64
        Parameter, any shape; updated.
    g : array_like, shaped like `p`
        Gradient of the loss.
    lr : float
        Learning rate, above 0.
    weight_decay : float
        L2 penalty, from 0 up: ``weight_decay * p`` is added to the gradient.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, `p` is read-only or of another dtype, or a number is out of its
        range; nothing has been written then.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> p = np.array([1.0, 2.0])
    >>> ops.sgd_(p, np.array([1.0, -1.0]), lr=0.5)
    >>> p
    array([0.5, 2.5])
    """
    updates.update("sgd_", ("p", "g"), (p, g), updates.settings(lr=lr, weight_decay=weight_decay))


def momentum_(
    p: Array,
    g: ArrayLike,
    v: Array,
    lr: SupportsFloat = 0.01,
    momentum: SupportsFloat = 0.9,
    *,
    weight_decay: SupportsFloat = 0.0,
) -> None:
    """Momentum (Polyak, 1964), in place: v = momentum v - lr g; p += v.

    Parameters
    ----------
    p : ndarray of float32 or float64
        Parameter, any shape; updated.
    g : array_like, shaped like `p`
        Gradient of the loss.
    v : ndarray, shaped like `p`
        Velocity, zero at the start; updated.
    lr : float
        Learning rate, above 0.
    momentum : float
        Share of the velocity that is kept, in [0, 1).
    weight_decay : float
        L2 penalty, from 0 up: ``weight_decay * p`` is added to the gradient.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, an array to be written is read-only, of another dtype or shares
        memory with another, or a number is out of its range; nothing has been written then.
    """
    settings = updates.settings(lr=lr, momentum=momentum, weight_decay=weight_decay)
    updates.update("momentum_", ("p", "g", "v"), (p, g, v), settings)


def nesterov_(
    p: Array,
    g: ArrayLike,
    v: Array,
    lr: SupportsFloat = 0.01,
    momentum: SupportsFloat = 0.9,
    *,
    weight_decay: SupportsFloat = 0.0,
) -> None:
    """Nesterov's momentum, in place: v = momentum v - lr g; p += momentum v - lr g.

    `p` is the look-ahead position (CS231n, "Neural networks 3"; Sutskever et al., 2013).

    Parameters
    ----------
    p : ndarray of float32 or float64
        Parameter, any shape; updated.
    g : array_like, shaped like `p`
        Gradient of the loss.
    v : ndarray, shaped like `p`
        Velocity, zero at the start; updated.
    lr : float
        Learning rate, above 0.
    momentum : float
        Share of the velocity that is kept, in [0, 1).
    weight_decay : float
        L2 penalty, from 0 up: ``weight_decay * p`` is added to the gradient.

    Raises
    ------
    TypeError, ValueError
        As :func:`momentum_`.
    """
    settings = updates.settings(lr=lr, momentum=momentum, weight_decay=weight_decay)
    updates.update("nesterov_", ("p", "g", "v"), (p, g, v), settings)


def adagrad_(
    p: Array,
    g: ArrayLike,
    h: Array,
    lr: SupportsFloat = 0.01,
    eps: SupportsFloat = 1e-7,
    *,
    weight_decay: SupportsFloat = 0.0,
) -> None:
    """AdaGrad (Duchi et al., 2011), in place: h += g^2; p -= lr g / (sqrt(h) + eps).

    Parameters
    ----------
    p : ndarray of float32 or float64
        Parameter, any shape; updated.
    g : array_like, shaped like `p`
        Gradient of the loss.
    h : ndarray, shaped like `p`
        Sum of squared gradients, zero at the start; updated.
    lr : float
        Learning rate, above 0.
    eps : float
        Added to the root, from 0 up.
    weight_decay : float
        L2 penalty, from 0 up: ``weight_decay * p`` is added to the gradient.

    Raises
    ------
    TypeError, ValueError
        As :func:`momentum_`.
    """
    settings = updates.settings(lr=lr, eps=eps, weight_decay=weight_decay)
    updates.update("adagrad_", ("p", "g", "h"), (p, g, h), settings)


def rmsprop_(
    p: Array,
    g: ArrayLike,
    h: Array,
    lr: SupportsFloat = 0.01,
    decay_rate: SupportsFloat = 0.99,
    eps: SupportsFloat = 1e-7,
    *,
    weight_decay: SupportsFloat = 0.0,
) -> None:
    """RMSProp (Hinton, 2012), in place.

    h = decay_rate h + (1 - decay_rate) g^2; p -= lr g / (sqrt(h) + eps).

    Parameters
    ----------
    p : ndarray of float32 or float64
        Parameter, any shape; updated.
    g : array_like, shaped like `p`
        Gradient of the loss.
    h : ndarray, shaped like `p`
        Moving average of squared gradients, zero at the start; updated.
    lr : float
        Learning rate, above 0.
    decay_rate : float
        Share of the average that is kept, in [0, 1).
    eps : float
        Added to the root, from 0 up.
    weight_decay : float
        L2 penalty, from 0 up: ``weight_decay * p`` is added to the gradient.

    Raises
    ------
    TypeError, ValueError
        As :func:`momentum_`.
    """
    settings = updates.settings(lr=lr, decay_rate=decay_rate, eps=eps, weight_decay=weight_decay)
    updates.update("rmsprop_", ("p", "g", "h"), (p, g, h), settings)


def adam_(
    p: Array,
    g: ArrayLike,
    m: Array,
    v: Array,
    step: SupportsIndex,
    lr: SupportsFloat = 0.001,
    beta1: SupportsFloat = 0.9,
    beta2: SupportsFloat = 0.999,
    eps: SupportsFloat = 1e-7,
    *,
    weight_decay: SupportsFloat = 0.0,
    decoupled: bool = False,
    bias_correction: str = "folded",
) -> None:
    """Adam (Kingma and Ba, 2015) or AdamW (Loshchilov and Hutter, 2019), in place.

    m += (1 - beta1) (g - m) and v += (1 - beta2) (g^2 - v); then with the corrections
    c1 = 1 - beta1^step and c2 = 1 - beta2^step,

    - folded: p -= (lr sqrt(c2) / c1) m / (sqrt(v) + eps), as in the book and at the end of
      section 2 of the paper;
    - explicit: p -= lr (m / c1) / (sqrt(v / c2) + eps), as in algorithm 1 of the paper and
      in PyTorch.

    Parameters
    ----------
    p : ndarray of float32 or float64
        Parameter, any shape; updated.
    g : array_like, shaped like `p`
        Gradient of the loss.
    m, v : ndarray, shaped like `p`
        Moving averages of the gradient and of its square, zero at the start; updated.
    step : int
        Number of this update, from 1 up.
    lr : float
        Learning rate, above 0.
    beta1, beta2 : float
        Shares of the averages that are kept, in [0, 1).
    eps : float
        Added to the root, from 0 up.
    weight_decay : float
        From 0 up: ``weight_decay * p`` is added to the gradient, or if `decoupled`,
        ``lr * weight_decay * p`` is subtracted from the parameter.
    decoupled : bool
        Whether weight decay bypasses the averages (AdamW).
    bias_correction : {"folded", "explicit"}
        Where the corrections stand, and so what `eps` is added to.

    Raises
    ------
    TypeError, ValueError
        As :func:`momentum_`.
    """
    numbers = updates.settings(lr=lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)
    settings = updates.adam_settings(step, numbers, decoupled, bias_correction)
    updates.update("adam_", ("p", "g", "m", "v"), (p, g, m, v), settings)
