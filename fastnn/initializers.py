"""Initial values of weights.

Each function takes the shape of the weights: (D, H) of an affine layer, with fan-in D and
fan-out H, or (F, C, height, width) of a convolution, with fan-in C * height * width and
fan-out F * height * width.
"""

from __future__ import annotations

import math
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import DTypeLike

from fastnn import _numbers as numbers
from fastnn._types import Array

__all__ = ["glorot_normal", "glorot_uniform", "he", "normal", "xavier", "zeros"]

Rng = np.random.Generator | int | None


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
    """All zero: right for biases; in weights it keeps the units of a layer alike for ever.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype

    Returns
    -------
    ndarray
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

    Parameters
    ----------
    shape : tuple of int
    std : float
        Standard deviation, from 0 up.
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
        If `std` is negative.
    """
    std = numbers.not_negative("std", std)
    return (std * np.random.default_rng(rng).standard_normal(shape)).astype(_floating(dtype))


def xavier(shape: tuple[int, ...], *, rng: Rng = None, dtype: DTypeLike = np.float32) -> Array:
    """Normal with standard deviation sqrt(1 / fan_in), for sigmoid and tanh.

    The book's form of Glorot and Bengio (2010), by the inputs alone; see
    :func:`glorot_normal` for the paper's.

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
    """
    fan_in, _ = _fans(shape)
    return normal(shape, math.sqrt(1 / fan_in), rng=rng, dtype=dtype)


def he(shape: tuple[int, ...], *, rng: Rng = None, dtype: DTypeLike = np.float32) -> Array:
    """Normal with standard deviation sqrt(2 / fan_in), for ReLU (He et al., 2015).

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
    """
    fan_in, _ = _fans(shape)
    return normal(shape, math.sqrt(2 / fan_in), rng=rng, dtype=dtype)


def glorot_normal(
    shape: tuple[int, ...], *, rng: Rng = None, dtype: DTypeLike = np.float32
) -> Array:
    """Normal with variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010, equation 12).

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
