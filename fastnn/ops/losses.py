"""Losses with their gradients."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn.ops._arrays import deliver, expect_ndim, inputs, output
from fastnn.ops._dispatch import checked, run
from fastnn.ops._targets import expect_probabilities, labels, outputs, read_targets

_cross_entropy, _dense_cross_entropy = (
    checked("softmax_cross_entropy"),
    checked("softmax_cross_entropy_dense"),
)
_squared_error = checked("mean_squared_error")

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


def softmax_cross_entropy(
    x: ArrayLike, t: ArrayLike, *, dx: Array | None = None
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
        If the batch is empty, a label is out of range, a row of targets is no probabilities, or
        shapes do not fit together.
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
    done = _cross_entropy(x, t, None, dx)
    if done is NotImplemented:
        done = _dense_cross_entropy(x, t, _SLACK, None, dx)
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
    gradient = output("dx", dx, x.shape, x.dtype, x, target)
    loss = np.empty(1)
    if dense:
        run("softmax_cross_entropy_dense", x, target, math.inf, loss, gradient)
    else:
        run("softmax_cross_entropy", x, target, loss, gradient)
    return loss.item(), deliver(dx, gradient)


def mean_squared_error(
    x: ArrayLike, t: ArrayLike, *, dx: Array | None = None
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
        If the batch is empty or shapes do not fit together.
    TypeError
        If an array is not of real numbers.
    """
    done = _squared_error(x, t, None, dx)
    if done is not NotImplemented:
        return done[0].item(), done[1]
    (x,) = inputs(x=x)
    _expect_scores(x, "(N, D)")
    target = _like(x, outputs(read_targets("t", t), *x.shape))
    gradient = output("dx", dx, x.shape, x.dtype, x, target)
    loss = np.empty(1)
    run("mean_squared_error", x, target, loss, gradient)
    return loss.item(), deliver(dx, gradient)
