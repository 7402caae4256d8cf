"""ReLU, sigmoid, tanh, softmax."""

from __future__ import annotations

from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn.ops._arrays import deliver, expect_ndim, expect_shape, inputs, output
from fastnn.ops._dispatch import run

# Cost of an element against that of a cheap loop.
_CHEAP, _EXP = 1, 8


def _forward(name: str, work: int, x: ArrayLike, out: Array | None) -> Array:
    (x,) = inputs(x=x)
    y = output("out", out, x.shape, x.dtype, *(() if out is x else (x,)))
    run(name, work * x.size, x.reshape(-1), y.reshape(-1))
    return deliver(out, y)


def _backward(name: str, dout: ArrayLike, y: ArrayLike, dx: Array | None) -> Array:
    dout, y = inputs(dout=dout, y=y)
    expect_shape("dout", dout, y.shape, "like y")
    apart = [a for a in (dout, y) if a is not dx]
    result = output("dx", dx, y.shape, y.dtype, *apart)
    run(name, y.size, dout.reshape(-1), y.reshape(-1), result.reshape(-1))
    return deliver(dx, result)


def relu(x: ArrayLike, out: Array | None = None) -> Array:
    """Rectified linear unit, max(x, 0), elementwise.

    Parameters
    ----------
    x : array_like
        Any shape.
    out : ndarray, optional
        Where to put the result: shaped like `x`, of the result's dtype; may be `x` itself.

    Returns
    -------
    ndarray
        Shaped like `x`; `out` if given. NaN stays NaN.

    Raises
    ------
    TypeError, ValueError
        If `x` is not of real numbers or `out` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return _forward("relu", _CHEAP, x, out)


def relu_backward(dout: ArrayLike, y: ArrayLike, dx: Array | None = None) -> Array:
    """Gradient of :func:`relu`: dout where y > 0, else 0.

    Parameters
    ----------
    dout : array_like
        Gradient of the loss with respect to the output.
    y : array_like
        The output, shaped like `dout`. (The input gives the same result.)
    dx : ndarray, optional
        Where to put the result; may be `dout` or `y`.

    Returns
    -------
    ndarray
        Shaped like `y`; `dx` if given.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, an array is not of real numbers, or `dx` does not fit.
    """
    return _backward("relu_backward", dout, y, dx)


def sigmoid(x: ArrayLike, out: Array | None = None) -> Array:
    """Logistic function, 1 / (1 + exp(-x)), elementwise.

    Parameters
    ----------
    x : array_like
        Any shape.
    out : ndarray, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray
        Shaped like `x`; `out` if given.

    Raises
    ------
    TypeError, ValueError
        If `x` is not of real numbers or `out` does not fit.
    """
    return _forward("sigmoid", _EXP, x, out)


def sigmoid_backward(dout: ArrayLike, y: ArrayLike, dx: Array | None = None) -> Array:
    """Gradient of :func:`sigmoid`: dout (1 - y) y.

    Parameters
    ----------
    dout : array_like
        Gradient of the loss with respect to the output.
    y : array_like
        The output, shaped like `dout`.
    dx : ndarray, optional
        Where to put the result; may be `dout` or `y`.

    Returns
    -------
    ndarray
        Shaped like `y`; `dx` if given.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, an array is not of real numbers, or `dx` does not fit.
    """
    return _backward("sigmoid_backward", dout, y, dx)


def tanh(x: ArrayLike, out: Array | None = None) -> Array:
    """Hyperbolic tangent, elementwise.

    Parameters
    ----------
    x : array_like
        Any shape.
    out : ndarray, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray
        Shaped like `x`; `out` if given.

    Raises
    ------
    TypeError, ValueError
        If `x` is not of real numbers or `out` does not fit.
    """
    return _forward("tanh", _EXP, x, out)


def tanh_backward(dout: ArrayLike, y: ArrayLike, dx: Array | None = None) -> Array:
    """Gradient of :func:`tanh`: dout (1 - y^2).

    Parameters
    ----------
    dout : array_like
        Gradient of the loss with respect to the output.
    y : array_like
        The output, shaped like `dout`.
    dx : ndarray, optional
        Where to put the result; may be `dout` or `y`.

    Returns
    -------
    ndarray
        Shaped like `y`; `dx` if given.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, an array is not of real numbers, or `dx` does not fit.
    """
    return _backward("tanh_backward", dout, y, dx)


def softmax(x: ArrayLike, out: Array | None = None) -> Array:
    """Probabilities of classes from scores: exp(x) over its sum, per row.

    Parameters
    ----------
    x : array_like, shape (N, C)
        Scores, one row a sample; C at least 1.
    out : ndarray, shape (N, C), optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray, shape (N, C)
        `out` if given. Each row is computed from its differences to its largest score, so
        that no score is too large for it.

    Raises
    ------
    TypeError, ValueError
        If `x` is not a matrix of real numbers with a column, or `out` does not fit.
    """
    (x,) = inputs(x=x)
    expect_ndim("x", x, 2, "(N, C)")
    if x.shape[1] == 0:
        raise ValueError(f"x: expected at least one class, got shape {x.shape}")
    y = output("out", out, x.shape, x.dtype, *(() if out is x else (x,)))
    run("softmax", _EXP * x.size, x, y)
    return deliver(out, y)
