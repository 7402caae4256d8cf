"""Losses with their gradients."""

from __future__ import annotations

import math
from typing import SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.ops._arrays import deliver, expect_ndim, inputs, output
from fastnn.ops._dispatch import LEFT_OUT, checked, run
from fastnn.ops._targets import (
    ANSWERS,
    COUNTS,
    expect_between,
    expect_probabilities,
    labels,
    outputs,
    read_targets,
)
from fastnn.ops._weights import weights_of_samples

_cross_entropy, _dense_cross_entropy = (
    checked("softmax_cross_entropy"),
    checked("softmax_cross_entropy_dense"),
)
_squared_error, _huber = checked("mean_squared_error"), checked("huber")
_binary_cross_entropy, _poisson = checked("binary_cross_entropy"), checked("poisson")

# By how much the sum of probabilities may be off to be taken as 1 at once: half of what
# :func:`expect_probabilities` allows, whose sums have other roundings.
_SLACK = 5e-4


def _expect_scores(x: Array, axes: str) -> None:
    expect_ndim("x", x, 2, axes)
    if x.size == 0:
        raise ValueError(f"x: expected at least one sample and one column, got shape {x.shape}")


def _like(x: Array, t: Array) -> Array:
    """Return targets in the dtype of x, which alone decides the dtype of the gradient."""
    (target,) = inputs(t=t)
    with np.errstate(all="ignore"):
        return target.astype(x.dtype, copy=False)


def _weights(x: Array, weights: ArrayLike | None) -> Array | None:
    """Return weights of samples in the dtype of x."""
    return None if weights is None else weights_of_samples("weights", weights, len(x), x.dtype)


def softmax_cross_entropy(
    x: ArrayLike,
    t: ArrayLike,
    *,
    dx: Array | None = None,
    weights: ArrayLike | None = None,
    label_smoothing: SupportsFloat = 0.0,
) -> tuple[float, Array]:
    """Cross-entropy of softmax(x) against the targets, averaged over the batch.

    Parameters
    ----------
    x : array_like, shape (N, C)
        Scores; at least one sample.
    t : array_like, shape (N,), (N, 1) or (N, C)
        Labels 0 .. C - 1, which may be truth values or floating-point numbers without a fraction,
        or one row of target probabilities a sample: one-hot, or any other (0 log 0 counts as 0)
        that sums to 1 within rounding, as the gradient is that of such rows alone. Where both
        readings fit, shape (N, C) is targets.
    dx : ndarray, shape (N, C), optional
        Where to put the gradient.
    weights : array_like, shape (N,), optional
        Of the samples, at least 0: the loss is sum(w loss) / sum(w), as in scikit-learn, and as
        PyTorch's with a `weight` for each class, if there is no smoothing. Where all are 0, so are
        loss and gradient.
    label_smoothing : float
        In [0, 1]: targets are (1 - s) t + s / C (Szegedy et al., 2016).

    Returns
    -------
    loss : float
        Mean over the batch of -log softmax(x)[t], by way of log(sum(exp(x - max))): it is
        finite for every finite `x`.
    dx : ndarray, shape (N, C)
        Gradient of the loss with respect to x: (softmax(x) - t) / N.

    Raises
    ------
    ValueError
        If the batch is empty, a label is out of range, a row of targets is no probabilities, a
        weight is negative or not finite, smoothing is out of its range, or shapes do not fit
        together.
    TypeError
        If labels are not integers, or `x` is not of real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> loss, dx = ops.softmax_cross_entropy(np.zeros((1, 4)), np.array([2]))
    >>> round(loss, 6)
    1.386294
    >>> dx
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """
    smoothing = label_smoothing
    if type(smoothing) is not float or not 0.0 <= smoothing <= 1.0:  # a call takes as long as this
        smoothing = numbers.fraction("label_smoothing", label_smoothing)
    if weights is None:
        done = _cross_entropy(x, t, LEFT_OUT, smoothing, None, dx)
        if done is NotImplemented:
            done = _dense_cross_entropy(x, t, LEFT_OUT, _SLACK, smoothing, None, dx)
        if done is not NotImplemented:
            return done[0].item(), done[1]
    (x,), t = inputs(x=x), read_targets("t", t)
    _expect_scores(x, "(N, C)")
    dense = t.shape == x.shape
    if dense:
        target = _like(x, t)
        expect_probabilities("t", target, t.dtype)
    else:
        target = labels(t, *x.shape)
    w = _weights(x, weights)
    gradient = output("dx", dx, x.shape, x.dtype, x, target, *_given(w))
    loss = np.empty(1)
    if dense:
        run("softmax_cross_entropy_dense", x, target, w, math.inf, smoothing, loss, gradient)
    else:
        run("softmax_cross_entropy", x, target, w, smoothing, loss, gradient)
    return loss.item(), deliver(dx, gradient)


def _given(w: Array | None) -> tuple[Array, ...]:
    return () if w is None else (w,)


def mean_squared_error(
    x: ArrayLike, t: ArrayLike, *, dx: Array | None = None, weights: ArrayLike | None = None
) -> tuple[float, Array]:
    """Half the squared distance from the targets, averaged over the batch.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Predictions; at least one sample.
    t : array_like, shape (N, D)
        Targets; (N,) is read as a column where D is 1.
    dx : ndarray, shape (N, D), optional
        Where to put the gradient.
    weights : array_like, shape (N,), optional
        As for :func:`softmax_cross_entropy`.

    Returns
    -------
    loss : float
        sum((x - t)^2) / (2 N): the book's E = 1/2 sum (y - t)^2 per sample. (PyTorch's
        ``mse_loss`` averages over the columns too, without the half.)
    dx : ndarray, shape (N, D)
        Gradient of the loss with respect to x: (x - t) / N.

    Raises
    ------
    ValueError
        If the batch is empty, a weight is negative or not finite, or shapes do not fit together.
    TypeError
        If an array is not of real numbers.
    """
    if weights is None:
        done = _squared_error(x, t, LEFT_OUT, None, dx)
        if done is not NotImplemented:
            return done[0].item(), done[1]
    return _of_elements("mean_squared_error", x, t, dx, weights)


def _of_elements(
    name: str,
    x: ArrayLike,
    t: ArrayLike,
    dx: Array | None,
    weights: ArrayLike | None,
    *settings: float,
    within: tuple[float, float] | None = None,
) -> tuple[float, Array]:
    """Check the arguments of a loss that is a sum over outputs; call its kernel."""
    (x,) = inputs(x=x)
    _expect_scores(x, "(N, D)")
    target = _like(x, outputs(read_targets("t", t), *x.shape))
    if within is not None:
        expect_between("t", target, *within)
    w = _weights(x, weights)
    gradient = output("dx", dx, x.shape, x.dtype, x, target, *_given(w))
    loss = np.empty(1)
    run(name, x, target, w, *settings, loss, gradient)
    return loss.item(), deliver(dx, gradient)


def binary_cross_entropy(
    x: ArrayLike,
    t: ArrayLike,
    *,
    dx: Array | None = None,
    weights: ArrayLike | None = None,
    label_smoothing: SupportsFloat = 0.0,
) -> tuple[float, Array]:
    """Cross-entropy of sigmoid(x), each the probability of a yes, averaged over the batch.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Scores, the logarithms of odds, each of a question of its own; at least one sample.
    t : array_like, shape (N, D)
        0 for no, 1 for yes, or any probability between; (N,) is read as a column where D is 1.
    dx : ndarray, shape (N, D), optional
        Where to put the gradient.
    weights : array_like, shape (N,), optional
        As for :func:`softmax_cross_entropy`. (PyTorch's divides by N, not by sum(w).)
    label_smoothing : float
        In [0, 1]: targets are (1 - s) t + s / 2.

    Returns
    -------
    loss : float
        Sum over outputs of log(1 + exp(x)) - t x, mean over the batch, as in scikit-learn. That
        clips probabilities to [eps, 1 - eps] before it takes logarithms; here they come from the
        scores, and the loss is exact however large these are. (PyTorch's
        ``binary_cross_entropy_with_logits`` averages over outputs too.)
    dx : ndarray, shape (N, D)
        Gradient of the loss with respect to x: (sigmoid(x) - t) / N.

    Raises
    ------
    ValueError
        If the batch is empty, a target is not in [0, 1], a weight is negative or not finite,
        smoothing is out of its range, or shapes do not fit together.
    TypeError
        If an array is not of real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> loss, dx = ops.binary_cross_entropy(np.array([[0.0], [1000.0]]), np.array([0, 1]))
    >>> round(loss, 6)
    0.346574
    >>> dx
    array([[0.25],
           [0.  ]])
    """
    smoothing = label_smoothing
    if type(smoothing) is not float or not 0.0 <= smoothing <= 1.0:  # a call takes as long as this
        smoothing = numbers.fraction("label_smoothing", label_smoothing)
    if weights is None:
        done = _binary_cross_entropy(x, t, LEFT_OUT, 0.0, 1.0, smoothing, None, dx)
        if done is not NotImplemented:
            return done[0].item(), done[1]
    limits = -math.inf, math.inf  # which are looked at here
    name = "binary_cross_entropy"
    return _of_elements(name, x, t, dx, weights, *limits, smoothing, within=ANSWERS)


def poisson(
    x: ArrayLike, t: ArrayLike, *, dx: Array | None = None, weights: ArrayLike | None = None
) -> tuple[float, Array]:
    """Half the deviance of Poisson distributions with the means exp(x), averaged over the batch.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Logarithms of the predicted means; at least one sample.
    t : array_like, shape (N, D)
        Counts, or other finite numbers of at least 0; (N,) is read as a column where D is 1.
    dx : ndarray, shape (N, D), optional
        Where to put the gradient.
    weights : array_like, shape (N,), optional
        As for :func:`softmax_cross_entropy`.

    Returns
    -------
    loss : float
        Sum over outputs of t log(t) - t x - t + exp(x), 0 log 0 = 0, mean over the batch: at least
        0, as in scikit-learn. (PyTorch's ``poisson_nll_loss`` is exp(x) - t x, averaged over
        outputs too: other values, the same gradient times D.)
    dx : ndarray, shape (N, D)
        Gradient of the loss with respect to x: (exp(x) - t) / N.

    Raises
    ------
    ValueError
        If the batch is empty, a target or a weight is negative or not finite, or shapes do not fit
        together.
    TypeError
        If an array is not of real numbers.
    """
    if weights is None:
        done = _poisson(x, t, LEFT_OUT, 0.0, None, dx)
        if done is not NotImplemented:
            return done[0].item(), done[1]
    return _of_elements("poisson", x, t, dx, weights, -math.inf, within=COUNTS)


def huber(
    x: ArrayLike,
    t: ArrayLike,
    delta: SupportsFloat = 1.0,
    *,
    dx: Array | None = None,
    weights: ArrayLike | None = None,
) -> tuple[float, Array]:
    """Huber's loss (1964), averaged over the batch: outliers pull no more than delta.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Predictions; at least one sample.
    t : array_like, shape (N, D)
        Targets; (N,) is read as a column where D is 1.
    delta : float
        Above 0: up to here it is half the square of a difference, and further on a straight line.
    dx : ndarray, shape (N, D), optional
        Where to put the gradient.
    weights : array_like, shape (N,), optional
        As for :func:`softmax_cross_entropy`.

    Returns
    -------
    loss : float
        Sum over outputs of d^2 / 2, d = x - t, or delta (abs(d) - delta / 2) where that is
        above delta; mean over the batch. (PyTorch's ``huber_loss`` averages over outputs too.)
    dx : ndarray, shape (N, D)
        Gradient of the loss with respect to x: d / N, with d between -delta and delta.

    Raises
    ------
    ValueError
        If the batch is empty, delta is not above 0, a weight is negative or not finite, or shapes
        do not fit together.
    TypeError
        If an array is not of real numbers.
    """
    delta = numbers.positive("delta", delta)
    if weights is None:
        done = _huber(x, t, LEFT_OUT, delta, None, dx)
        if done is not NotImplemented:
            return done[0].item(), done[1]
    return _of_elements("huber", x, t, dx, weights, delta)
