"""Losses with their gradients."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn.ops._arrays import array_of, deliver, expect_ndim, expect_shape, inputs, output
from fastnn.ops._dispatch import run
from fastnn.ops._targets import expect_probabilities, labels

_EXP = 10  # cost of an element against that of a cheap loop


def _expect_scores(x: Array, axes: str) -> None:
    expect_ndim("x", x, 2, axes)
    if x.size == 0:
        raise ValueError(f"x: expected at least one sample and one column, got shape {x.shape}")


def _targets(t: ArrayLike, x: Array) -> Array:
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
        Labels 0 .. C - 1, or one row of target probabilities a sample: one-hot, or any
        other (0 log 0 counts as 0) that sums to 1 within rounding, as the gradient is that of
        such rows alone. Where both readings fit, shape (N, C) is targets.
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
    (x,), t = inputs(x=x), array_of("t", t)
    _expect_scores(x, "(N, C)")
    dense = t.shape == x.shape
    if dense:
        target = _targets(t, x)
        expect_probabilities("t", target, t.dtype)
    else:
        target = labels(t, *x.shape)
    gradient = output("dx", dx, x.shape, x.dtype, x, target)
    losses = np.empty(x.shape[0], x.dtype)
    name = "softmax_cross_entropy_dense" if dense else "softmax_cross_entropy"
    run(name, _EXP * x.size, x, target, losses, gradient)
    return _mean(losses), deliver(dx, gradient)


def mean_squared_error(
    x: ArrayLike, t: ArrayLike, *, dx: Array | None = None
) -> tuple[float, Array]:
    """Half the squared distance from the targets, averaged over the batch.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Predictions; at least one sample.
    t : array_like, shape (N, D)
        Targets.
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
    (x,) = inputs(x=x)
    _expect_scores(x, "(N, D)")
    target = _targets(t, x)
    expect_shape("t", target, x.shape, "like x")
    gradient = output("dx", dx, x.shape, x.dtype, x, target)
    losses = np.empty(x.shape[0], x.dtype)
    run("mean_squared_error", x.size, x, target, losses, gradient)
    return _mean(losses), deliver(dx, gradient)


def _mean(losses: Array) -> float:
    return float(np.add.reduce(losses, dtype=np.float64)) / losses.size
