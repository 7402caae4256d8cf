"""Samples and targets as a training takes them."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import ArrayLike

from fastnn import _numbers as numbers
from fastnn import layers
from fastnn._route import Samples
from fastnn.ops._arrays import real

Pair = tuple[Samples, Samples]

_FRACTION = numbers.BETWEEN._replace(text="a pair (x, t) or a number in (0, 1)")


def samples(network: Any, x: ArrayLike, t: ArrayLike, where: str = "") -> Pair:
    """Return samples and targets as arrays that the network can be trained on.

    Parameters
    ----------
    network : MultiLayerNetExtend
    x, t : array_like
    where : str
        Comes before the names in errors.

    Returns
    -------
    x, t : ndarray

    Raises
    ------
    TypeError, ValueError
        If they are not what the network takes.
    """
    x, t = real(f"{where}x", x), real(f"{where}t", t)
    features = network.input_size
    if x.ndim < 2 or len(x) == 0 or math.prod(x.shape[1:]) != features:
        raise ValueError(
            f"{where}x: expected at least one sample of {features} features, "
            f"shape (N, {features}) or (N, ...), got {x.shape}"
        )
    dense = len(x), network.output_size
    if isinstance(network.last_layer, layers.SoftmaxWithLoss):
        if t.shape != dense:
            _expect_labels(f"{where}t", t, *dense)
    elif isinstance(network.last_layer, layers.IdentityWithLoss):
        if t.shape != dense:
            raise ValueError(f"{where}t: expected targets of shape {dense}, got {t.shape}")
    elif t.shape[:1] != dense[:1]:
        raise ValueError(f"{where}t: expected {len(x)} targets, got shape {t.shape}")
    return x, t


def _expect_labels(name: str, t: Samples, n: int, classes: int) -> None:
    if t.shape not in ((n,), (n, 1)):
        raise ValueError(
            f"{name}: expected {n} labels of shape ({n},) or targets of shape ({n}, {classes}), "
            f"got {t.shape}"
        )
    if t.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected labels of a whole-number dtype, got {t.dtype}")
    low, high = int(t.min()), int(t.max())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise ValueError(f"{name}: expected labels from 0 to {classes - 1}, got {wrong}")


def split(network: Any, x: Samples, t: Samples, validation: Any) -> tuple[Pair, Pair | None]:
    """Return the samples to train on and those to validate on.

    Parameters
    ----------
    network : MultiLayerNetExtend
    x, t : ndarray
    validation : (x, t), float or None

    Returns
    -------
    (x, t) : tuple of ndarray
    held_out : tuple of ndarray, or None

    Raises
    ------
    TypeError, ValueError
        If `validation` is not as above.
    """
    if validation is None:
        return (x, t), None
    if isinstance(validation, (tuple, list)):
        if len(validation) != 2:
            raise ValueError(f"validation: expected {_FRACTION.text}, got {len(validation)} items")
        return (x, t), samples(network, validation[0], validation[1], "validation ")
    share = numbers.number("validation", validation, _FRACTION)
    n = len(x) - max(1, round(share * len(x)))
    if n < 1:
        raise ValueError(f"validation: {share} of {len(x)} samples leaves none to train on")
    return (x[:n], t[:n]), (x[n:], t[n:])
