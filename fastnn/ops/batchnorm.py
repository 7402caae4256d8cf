"""Batch normalisation of rows (N, D) and of images (N, C, height, width) or the like."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.ops._arrays import (
    deliver,
    expect_apart,
    expect_shape,
    inputs,
    output,
    updated,
)
from fastnn.ops._dispatch import LEFT_OUT, checked, run


def _at_once(suffix: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return checked("batchnorm" + suffix), checked("batchnorm_nchw" + suffix)


_forward_at_once, _inference_at_once = _at_once(""), _at_once("_inference")
_backward_at_once = _at_once("_backward")

_UNBOUND = -math.inf  # below results; ReLU's are bound by 0


def _expect_axes(x: Array) -> None:
    if x.ndim < 2:
        raise ValueError(f"x: expected shape (N, D) or (N, C, ...), got {x.shape}")


def _expect_batch(x: Array) -> None:
    _expect_axes(x)
    if x.size == 0:
        raise ValueError(f"x: expected at least one sample and feature, got shape {x.shape}")


def _expect_features(x: Array, **named: Array) -> None:
    shape = x.shape[1:2]
    for name, array in named.items():
        if array.shape != shape:
            expect_shape(name, array, shape, "to match axis 1 of x of shape {}", x.shape)


def _planes(x: Array) -> Array:
    """Return (N, D) as it is and images as (N, C, H W)."""
    return x if x.ndim == 2 else x.reshape(x.shape[0], x.shape[1], -1)


def _kernel(x: Array, suffix: str) -> str:
    return ("batchnorm" if x.ndim == 2 else "batchnorm_nchw") + suffix


def _for(x: ArrayLike, kernels: tuple[Callable[..., Any], Callable[..., Any]]) -> Any:
    return kernels[type(x) is np.ndarray and x.ndim != 2]


def _forward(
    low: float,
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    running_mean: Array,
    running_var: Array,
    momentum: SupportsFloat,
    eps: SupportsFloat,
    out: Array | None,
) -> tuple[Array, Array, Array]:
    if (
        type(momentum) is float
        and 0 <= momentum <= 1
        and type(eps) is float
        and 0 <= eps < math.inf
    ):
        done = _for(x, _forward_at_once)(
            x, gamma, beta, running_mean, running_var, momentum, eps, low, out, None, None
        )
        if done is not NotImplemented:
            return done
    x, gamma, beta = inputs(x=x, gamma=gamma, beta=beta)
    _expect_batch(x)
    _expect_features(x, gamma=gamma, beta=beta)
    momentum = numbers.fraction("momentum", momentum)
    eps = numbers.not_negative("eps", eps)
    features = x.shape[1:2]
    to_mean = updated("running_mean", running_mean, features, x.dtype, "gamma")
    to_var = updated("running_var", running_var, features, x.dtype, "gamma")
    y = output("out", out, x.shape, x.dtype, x, gamma, beta)
    expect_apart(
        {"running_mean": running_mean, "running_var": running_var},
        {"x": x, "gamma": gamma, "beta": beta, "out": out},
    )
    mean, rstd = np.empty(features, x.dtype), np.empty(features, x.dtype)
    run(
        _kernel(x, ""), _planes(x), gamma, beta, to_mean, to_var, momentum, eps, low, _planes(y),
        mean, rstd,
    )  # fmt: skip
    deliver(running_mean, to_mean)
    deliver(running_var, to_var)
    return deliver(out, y), mean, rstd


def _inference(
    low: float,
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    eps: SupportsFloat,
    out: Array | None,
) -> Array:
    if type(eps) is float and 0 <= eps < math.inf:
        done = _for(x, _inference_at_once)(x, gamma, beta, running_mean, running_var, eps, low, out)
        if done is not NotImplemented:
            return done
    x, gamma, beta, mean, var = inputs(
        x=x, gamma=gamma, beta=beta, running_mean=running_mean, running_var=running_var
    )
    _expect_axes(x)
    _expect_features(x, gamma=gamma, beta=beta, running_mean=mean, running_var=var)
    eps = numbers.not_negative("eps", eps)
    y = output("out", out, x.shape, x.dtype, x, gamma, beta, mean, var)
    if x.size:
        run(_kernel(x, "_inference"), _planes(x), gamma, beta, mean, var, eps, low, _planes(y))
    return deliver(out, y)


def _backward(
    dout: Array,
    x: Array,
    features: dict[str, Array],
    y: Array | None,
    dx: Array | None,
    dgamma: Array | None,
    dbeta: Array | None,
) -> tuple[Array, Array, Array]:
    _expect_batch(x)
    expect_shape("dout", dout, x.shape, "like x")
    _expect_features(x, **features)
    read = [dout, x, *features.values()]
    if y is not None:
        expect_shape("y", y, x.shape, "like x")
        read.append(y)
    to_dx = output("dx", dx, x.shape, x.dtype, *read)
    to_dgamma = output("dgamma", dgamma, x.shape[1:2], x.dtype, *read)
    to_dbeta = output("dbeta", dbeta, x.shape[1:2], x.dtype, *read)
    expect_apart({"dx": dx, "dgamma": dgamma, "dbeta": dbeta})
    run(
        _kernel(x, "_backward"), _planes(dout), _planes(x), *features.values(),
        None if y is None else _planes(y), _planes(to_dx), to_dgamma, to_dbeta,
    )  # fmt: skip
    return deliver(dx, to_dx), deliver(dgamma, to_dgamma), deliver(dbeta, to_dbeta)


def batchnorm(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    running_mean: Array,
    running_var: Array,
    momentum: SupportsFloat = 0.9,
    eps: SupportsFloat = 1e-6,
    *,
    out: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Batch normalisation in training: by the mean and variance of this batch.

    y = gamma (x - mean) / sqrt(var + eps) + beta, with the biased variance, per feature of
    a 2-D `x` and per channel of images (Ioffe and Szegedy, 2015, algorithm 1). The running
    statistics become ``momentum * old + (1 - momentum) * batch``, in place, of the biased variance
    too: it is 0 for a batch with one number a feature, which layers therefore leave out.

    Parameters
    ----------
    x : array_like, shape (N, D) or (N, C, ...)
        At least one sample.
    gamma, beta : array_like, shape (D,) or (C,)
        Scale and shift.
    running_mean, running_var : ndarray, shape (D,) or (C,)
        Statistics for inference; updated in place.
    momentum : float
        Weight of the old value in the running statistics, in [0, 1]. (PyTorch's momentum
        is one minus this.)
    eps : float
        Added to the variance, at least 0.
    out : ndarray, shaped like `x`, optional
        Where to put y.

    Returns
    -------
    y : ndarray, shaped like `x`
        `out` if given.
    mean, rstd : ndarray, shape (D,) or (C,)
        Mean and 1 / sqrt(var + eps) of the batch, for :func:`batchnorm_backward`.

    Raises
    ------
    TypeError, ValueError
        If the batch is empty, shapes do not fit together, a number is out of its range, an
        array is not of real numbers, or an array to be written is read-only.
    """
    return _forward(_UNBOUND, x, gamma, beta, running_mean, running_var, momentum, eps, out)


def batchnorm_inference(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    eps: SupportsFloat = 1e-6,
    *,
    out: Array | None = None,
) -> Array:
    """Batch normalisation in inference: by the running statistics.

    Parameters
    ----------
    x : array_like, shape (N, D) or (N, C, ...)
    gamma, beta : array_like, shape (D,) or (C,)
        Scale and shift.
    running_mean, running_var : array_like, shape (D,) or (C,)
        Statistics.
    eps : float
        Added to the variance, at least 0.
    out : ndarray, shaped like `x`, optional
        Where to put the result.

    Returns
    -------
    ndarray, shaped like `x`
        gamma (x - running_mean) / sqrt(running_var + eps) + beta; `out` if given.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit together, `eps` is out of its range, an array is not of real
        numbers, or `out` does not fit.
    """
    return _inference(_UNBOUND, x, gamma, beta, running_mean, running_var, eps, out)


def batchnorm_backward(
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
    """Gradients of :func:`batchnorm`; mean and variance are functions of x.

    Parameters
    ----------
    dout : array_like, shaped like `x`
        Gradient of the loss with respect to y.
    x : array_like, shape (N, D) or (N, C, ...)
        The input; at least one sample.
    gamma, mean, rstd : array_like, shape (D,) or (C,)
        The scale, and what :func:`batchnorm` returned.
    dx, dgamma, dbeta : ndarray, optional
        Where to put the results.

    Returns
    -------
    dx : ndarray, shaped like `x`
    dgamma, dbeta : ndarray, shape (D,) or (C,)

    Raises
    ------
    TypeError, ValueError
        If the batch is empty, shapes do not fit together, an array is not of real numbers,
        or an output does not fit or shares memory with another.
    """
    done = _for(x, _backward_at_once)(dout, x, gamma, mean, rstd, LEFT_OUT, dx, dgamma, dbeta)
    if done is not NotImplemented:
        return done
    dout, x, gamma, mean, rstd = inputs(dout=dout, x=x, gamma=gamma, mean=mean, rstd=rstd)
    features = {"gamma": gamma, "mean": mean, "rstd": rstd}
    return _backward(dout, x, features, None, dx, dgamma, dbeta)


def batchnorm_relu(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    running_mean: Array,
    running_var: Array,
    momentum: SupportsFloat = 0.9,
    eps: SupportsFloat = 1e-6,
    *,
    out: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Batch normalisation in training, and ReLU in the same pass: max(y, 0).

    Parameters
    ----------
    x, gamma, beta, running_mean, running_var, momentum, eps, out
        As for :func:`batchnorm`.

    Returns
    -------
    y : ndarray, shaped like `x`
        `out` if given. :func:`batchnorm_relu_backward` asks for it.
    mean, rstd : ndarray, shape (D,) or (C,)
        Mean and 1 / sqrt(var + eps) of the batch.

    Raises
    ------
    TypeError, ValueError
        As :func:`batchnorm`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> x, one, zero = np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1)
    >>> y, mean, rstd = ops.batchnorm_relu(x, one, zero, zero.copy(), one.copy(), eps=0)
    >>> y
    array([[0.],
           [1.]])
    """
    return _forward(0.0, x, gamma, beta, running_mean, running_var, momentum, eps, out)


def batchnorm_relu_inference(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    eps: SupportsFloat = 1e-6,
    *,
    out: Array | None = None,
) -> Array:
    """Batch normalisation in inference, and ReLU in the same pass: max(y, 0).

    Parameters
    ----------
    x, gamma, beta, running_mean, running_var, eps, out
        As for :func:`batchnorm_inference`.

    Returns
    -------
    ndarray, shaped like `x`
        `out` if given.

    Raises
    ------
    TypeError, ValueError
        As :func:`batchnorm_inference`.
    """
    return _inference(0.0, x, gamma, beta, running_mean, running_var, eps, out)


def batchnorm_relu_backward(
    dout: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike,
    mean: ArrayLike,
    rstd: ArrayLike,
    y: ArrayLike,
    *,
    dx: Array | None = None,
    dgamma: Array | None = None,
    dbeta: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Gradients of :func:`batchnorm_relu`; dout counts where the output y is above 0.

    Parameters
    ----------
    dout, x, gamma, mean, rstd, dx, dgamma, dbeta
        As for :func:`batchnorm_backward`.
    y : array_like, shaped like `x`
        What :func:`batchnorm_relu` returned.

    Returns
    -------
    dx : ndarray, shaped like `x`
    dgamma, dbeta : ndarray, shape (D,) or (C,)

    Raises
    ------
    TypeError, ValueError
        As :func:`batchnorm_backward`.
    """
    done = _for(x, _backward_at_once)(dout, x, gamma, mean, rstd, y, dx, dgamma, dbeta)
    if done is not NotImplemented:
        return done
    dout, x, gamma, mean, rstd, y = inputs(dout=dout, x=x, gamma=gamma, mean=mean, rstd=rstd, y=y)
    features = {"gamma": gamma, "mean": mean, "rstd": rstd}
    return _backward(dout, x, features, y, dx, dgamma, dbeta)
