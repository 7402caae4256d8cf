"""Layer normalisation of rows (N, D)."""

from __future__ import annotations

import math
from typing import SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.ops._arrays import (
    deliver,
    expect_apart,
    expect_ndim,
    expect_shape,
    inputs,
    output,
)
from fastnn.ops._dispatch import checked, run

_layernorm, _layernorm_backward = checked("layernorm"), checked("layernorm_backward")


def _expect_rows(x: Array) -> None:
    expect_ndim("x", x, 2, "(N, D)")
    if x.shape[1] == 0:
        raise ValueError(f"x: expected at least one feature, got shape {x.shape}")


def _expect_features(x: Array, **named: Array) -> None:
    for name, array in named.items():
        expect_shape(name, array, x.shape[1:], "to match axis 1 of x of shape {}", x.shape)


def layernorm(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    eps: SupportsFloat = 1e-5,
    *,
    out: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Layer normalisation: each row by its own mean and variance.

    y = gamma (x - mean) / sqrt(var + eps) + beta, with the biased variance (Ba, Kiros and
    Hinton, 2016). It does the same in training and inference.

    Parameters
    ----------
    x : array_like, shape (N, D)
        At least one feature.
    gamma, beta : array_like, shape (D,)
        Scale and shift.
    eps : float
        Added to the variance, at least 0.
    out : ndarray, shape (N, D), optional
        Where to put y.

    Returns
    -------
    y : ndarray, shape (N, D)
        `out` if given.
    mean, rstd : ndarray, shape (N,)
        Mean and 1 / sqrt(var + eps) of each row, for :func:`layernorm_backward`.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit together, `eps` is out of its range, an array is not of real
        numbers, or `out` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> y, mean, rstd = ops.layernorm(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2), eps=0)
    >>> y
    array([[-1.,  1.]])
    """
    if type(eps) is float and 0 <= eps < math.inf:
        done = _layernorm(x, gamma, beta, eps, out, None, None)
        if done is not NotImplemented:
            return done
    x, gamma, beta = inputs(x=x, gamma=gamma, beta=beta)
    _expect_rows(x)
    _expect_features(x, gamma=gamma, beta=beta)
    eps = numbers.not_negative("eps", eps)
    y = output("out", out, x.shape, x.dtype, x, gamma, beta)
    mean, rstd = np.empty(len(x), x.dtype), np.empty(len(x), x.dtype)
    run("layernorm", x, gamma, beta, eps, y, mean, rstd)
    return deliver(out, y), mean, rstd


def layernorm_backward(
    dout: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike,
    mean: ArrayLike,
    rstd: ArrayLike,
    *,
    dx: Array | None = None,
    dgamma: Array | None = None,
    dbeta: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Gradients of :func:`layernorm`; mean and variance are functions of x.

    Parameters
    ----------
    dout : array_like, shape (N, D)
        Gradient of the loss with respect to y.
    x : array_like, shape (N, D)
        The input.
    gamma : array_like, shape (D,)
        The scale.
    mean, rstd : array_like, shape (N,)
        What :func:`layernorm` returned.
    dx, dgamma, dbeta : ndarray, optional
        Where to put the results.

    Returns
    -------
    dx : ndarray, shape (N, D)
    dgamma, dbeta : ndarray, shape (D,)

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit together, an array is not of real numbers, or an output does not
        fit or shares memory with another.
    """
    done = _layernorm_backward(dout, x, gamma, mean, rstd, dx, dgamma, dbeta)
    if done is not NotImplemented:
        return done
    dout, x, gamma, mean, rstd = inputs(dout=dout, x=x, gamma=gamma, mean=mean, rstd=rstd)
    _expect_rows(x)
    expect_shape("dout", dout, x.shape, "like x")
    _expect_features(x, gamma=gamma)
    expect_shape("mean", mean, x.shape[:1], "to match axis 0 of x of shape {}", x.shape)
    expect_shape("rstd", rstd, x.shape[:1], "to match axis 0 of x of shape {}", x.shape)
    read = [dout, x, gamma, mean, rstd]
    to_dx = output("dx", dx, x.shape, x.dtype, *read)
    to_dgamma = output("dgamma", dgamma, gamma.shape, x.dtype, *read)
    to_dbeta = output("dbeta", dbeta, gamma.shape, x.dtype, *read)
    expect_apart({"dx": dx, "dgamma": dgamma, "dbeta": dbeta})
    run("layernorm_backward", *read, to_dx, to_dgamma, to_dbeta)
    return deliver(dx, to_dx), deliver(dgamma, to_dgamma), deliver(dbeta, to_dbeta)
