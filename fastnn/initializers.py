"""Initial values of weights.

Each function takes the shape of the weights: (D, H) of an affine layer, with fan-in D and
fan-out H, or (F, C, height, width) of a convolution, with fan-in C * height * width and
fan-out F * height * width.

Which one to use:

======================= ======================================================================
:func:`he`              layers followed by ReLU
:func:`xavier`          layers followed by sigmoid or tanh
:func:`glorot_normal`,  the same, where fan-in and fan-out differ much: they look after the
:func:`glorot_uniform`  scale of gradients too
``normal(shape, 0.01)`` networks of one or two layers, or with batch normalisation; in deeper
                        ones activations and gradients vanish
``normal(shape, 1)``    to see what goes wrong: sigmoid and tanh saturate, ReLU grows by
                        sqrt(D / 2) a layer
:func:`zeros`           biases; never weights, whose units then stay copies of one unit
======================= ======================================================================

``weight_init_std`` of :class:`fastnn.networks.MultiLayerNet` takes "he", "xavier" or a standard
deviation, ``init`` of layers in a :class:`fastnn.Network` (``Affine(100, init="he")``) these, the
functions here or your own, and ``examples/initial_values.py`` shows what comes of each.
"""

from __future__ import annotations

import math
from typing import Any, SupportsFloat, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array

__all__ = ["glorot_normal", "glorot_uniform", "he", "normal", "xavier", "zeros"]

Rng: TypeAlias = "np.random.Generator | int | None"  # NumPy loads these at first use


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) < 2 or min(shape) < 1:
        raise ValueError(f"shape: expected (D, H) or (F, C, height, width), got {shape}")
    if len(shape) == 2:
        return shape[0], shape[1]
    receptive = math.prod(shape[2:])
    return shape[1] * receptive, shape[0] * receptive


def _floating(dtype: DTypeLike) -> np.dtype[Any]:
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"dtype: expected a floating dtype, got {dtype}")
    return dtype


def zeros(shape: tuple[int, ...], *, dtype: DTypeLike = np.float32) -> Array:
    """All zero: right for biases, wrong for weights.

    Units of a layer that start with equal weights, zero or not, compute the same, get the same
    gradients and stay equal for ever: the layer is worth one unit. With zeros and ReLU no weight
    gets a gradient at all.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype

    Returns
    -------
    ndarray

    Raises
    ------
    TypeError
        If `dtype` is not a floating one.
    """
    return np.zeros(shape, _floating(dtype))


def normal(
    shape: tuple[int, ...],
    std: SupportsFloat = 0.01,
    *,
    rng: Rng = None,
    dtype: DTypeLike = np.float32,
) -> Array:
    """Normal with mean 0 and a given standard deviation.

    A layer of D inputs multiplies the spread of what it is given by ``std * sqrt(D)``: with the
    book's 0.01 and 100 inputs by 0.1, so that signals vanish in deep networks, and with 1 by 10,
    so that units saturate. :func:`xavier` and :func:`he` choose `std` by D.

    Parameters
    ----------
    shape : tuple of int
    std : float
        Standard deviation, at least 0.
    rng : numpy.random.Generator, int or None
        Generator, or the seed of a new one.
    dtype : dtype
        The numbers are drawn in float64 and rounded, so that a seed gives the same values
        in each dtype.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If `std` is negative or not finite.
    TypeError
        If `std` is no number, or `dtype` is not a floating one.

    Examples
    --------
    >>> from fastnn.initializers import normal
    >>> W = normal((784, 100), 0.01, rng=0)
    >>> W.shape, round(float(W.std()), 3)
    ((784, 100), 0.01)
    """
    std = numbers.not_negative("std", std)
    return (std * np.random.default_rng(rng).standard_normal(shape)).astype(_floating(dtype))


def xavier(shape: tuple[int, ...], *, rng: Rng = None, dtype: DTypeLike = np.float32) -> Array:
    """Normal with standard deviation sqrt(1 / fan_in), for sigmoid and tanh.

    Where the activation is about linear outputs are spread as widely as inputs. The book's form
    of Glorot and Bengio (2010), by the inputs alone; see :func:`glorot_normal` for the paper's.

    Parameters
    ----------
    shape : tuple of int
    rng : numpy.random.Generator, int or None
    dtype : dtype

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If `shape` has no fan-in.

    Examples
    --------
    >>> from fastnn.initializers import xavier
    >>> round(float(xavier((400, 100), rng=0).std()), 2)
    0.05
    """
    fan_in, _ = _fans(shape)
    return normal(shape, math.sqrt(1 / fan_in), rng=rng, dtype=dtype)


def he(shape: tuple[int, ...], *, rng: Rng = None, dtype: DTypeLike = np.float32) -> Array:
    """Normal with standard deviation sqrt(2 / fan_in), for ReLU (He et al., 2015).

    The 2 makes up for the half that ReLU sets to zero: the mean square of activations stays the
    same from layer to layer.

    Parameters
    ----------
    shape : tuple of int
    rng : numpy.random.Generator, int or None
    dtype : dtype

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If `shape` has no fan-in.

    Examples
    --------
    >>> from fastnn.initializers import he
    >>> round(float(he((800, 100), rng=0).std()), 2)
    0.05
    """
    fan_in, _ = _fans(shape)
    return normal(shape, math.sqrt(2 / fan_in), rng=rng, dtype=dtype)


def glorot_normal(
    shape: tuple[int, ...], *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> Array:
    """Normal with variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010, equation 12).

    The compromise between keeping the scale of activations, which asks for 1 / fan_in, and that
    of gradients on their way back, which asks for 1 / fan_out.

    Parameters
    ----------
    shape : tuple of int
    rng : numpy.random.Generator, int or None
    dtype : dtype

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If `shape` has no fans.
    """
    return normal(shape, math.sqrt(2 / sum(_fans(shape))), rng=rng, dtype=dtype)


def glorot_uniform(
    shape: tuple[int, ...], *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> Array:
    """Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010, equation 16).

    The variance is that of :func:`glorot_normal`, and no weight is far from zero.

    Parameters
    ----------
    shape : tuple of int
    rng : numpy.random.Generator, int or None
    dtype : dtype

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If `shape` has no fans.
    """
    limit = math.sqrt(6 / sum(_fans(shape)))
    return np.random.default_rng(rng).uniform(-limit, limit, shape).astype(_floating(dtype))
