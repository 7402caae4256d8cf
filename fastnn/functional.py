"""The helper functions of the book, under their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import ops
from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.ops import relu, sigmoid
from fastnn.ops._arrays import real
from fastnn.ops._targets import expect_probabilities, labels, read_targets

__all__ = [
    "cross_entropy_error",
    "numerical_gradient",
    "relu",
    "shuffle_dataset",
    "sigmoid",
    "smooth_curve",
    "softmax",
]


def softmax(x: ArrayLike) -> Array:
    """Probabilities of classes from scores, for one sample (C,) or a batch (N, C).

    Parameters
    ----------
    x : array_like, shape (C,) or (N, C)
        Scores.

    Returns
    -------
    ndarray, shaped like `x`

    Raises
    ------
    TypeError, ValueError
        If `x` has another shape or is not of real numbers.
    """
    x = np.asarray(x)
    return ops.softmax(x[np.newaxis])[0] if x.ndim == 1 else ops.softmax(x)


def cross_entropy_error(y: ArrayLike, t: ArrayLike) -> float:
    """Cross-entropy of probabilities against labels, averaged over the batch.

    -mean(log(y[n, t[n]] + 1e-7)): the small number, the book's, stands in for a probability
    of zero. To train use :func:`fastnn.ops.softmax_cross_entropy`, which does without.

    Parameters
    ----------
    y : array_like, shape (C,) or (N, C)
        Probabilities.
    t : array_like, shape (N,) or shaped like `y`
        Labels (a single number for one sample), or one-hot targets; of other rows of probabilities
        the largest one counts.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If shapes do not fit together, the batch is empty, a label is out of range, or rows are no
        probabilities.
    TypeError
        If labels are not integers.
    """
    y, t = np.atleast_2d(real("y", y)), read_targets("t", t)
    if y.ndim != 2:
        raise ValueError(f"y: expected shape (C,) or (N, C), got {y.shape}")
    n, classes = y.shape
    if n == 0:
        raise ValueError(f"t: expected labels of at least one sample, got y of shape {y.shape}")
    rows = np.atleast_2d(t)
    if rows.shape == y.shape:
        expect_probabilities("t", rows)
        found = rows.argmax(axis=1)
    else:
        found = labels(np.atleast_1d(t), n, classes)
    return float(-np.mean(np.log(y[np.arange(n), found] + 1e-7)))


def numerical_gradient(
    f: Callable[[NDArray[Any]], SupportsFloat], x: NDArray[Any], h: SupportsFloat = 1e-4
) -> NDArray[Any]:
    """Gradient by centred differences, (f(x + h) - f(x - h)) / 2h, one element at a time.

    Parameters
    ----------
    f : callable
        Takes `x` and returns a number. `x` is changed in place while it is called.
    x : ndarray
        Where to differentiate, any shape, of a floating dtype; left as it was. In float32
        the differences drown in rounding: use float64.
    h : float
        Half the distance between the two points.

    Returns
    -------
    ndarray, shaped like `x`

    Raises
    ------
    TypeError
        If `x` is not an array of a floating dtype.
    """
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        kind = getattr(x, "dtype", type(x).__name__)
        raise TypeError(f"x: expected an array of a floating dtype, got {kind}")
    h = numbers.positive("h", h)
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        before = x[index]
        try:
            x[index] = before + h
            above = float(f(x))
            x[index] = before - h
            below = float(f(x))
        finally:
            x[index] = before
        gradient[index] = (above - below) / (2 * h)
    return gradient


def smooth_curve(x: ArrayLike) -> NDArray[np.float64]:
    """Smooth a noisy curve, such as a list of losses, for a plot.

    Moving average over 11 points with a Kaiser window (beta 2), the curve continued by its
    mirror images; the book's function.

    Parameters
    ----------
    x : array_like, shape (n,)

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    ValueError
        If `x` is empty or has more axes.
    """
    x = np.asarray(x, np.float64)
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"x: expected a curve of shape (n,), n at least 1, got {x.shape}")
    window = np.kaiser(11, 2)
    mirrored = np.pad(np.pad(x, (10, 0), mode="reflect"), (0, 10), mode="symmetric")
    smooth = np.convolve(window / window.sum(), mirrored, mode="valid")
    return smooth[5 : 5 + x.size]


def shuffle_dataset(
    x: NDArray[Any], t: NDArray[Any], *, seed: int | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Put samples and targets into one random order.

    Parameters
    ----------
    x, t : ndarray, shapes (N, ...)
    seed : int, optional
        Chooses the order; a random one if not given.

    Returns
    -------
    x, t : ndarray
        Copies in the new order.

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    if len(x) != len(t):
        raise ValueError(f"t: expected {len(x)} targets, one per sample of x, got {len(t)}")
    order = np.random.default_rng(seed).permutation(len(x))
    return x[order], t[order]
