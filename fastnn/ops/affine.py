"""Affine layers (fully connected), alone and fused with ReLU."""

from __future__ import annotations

from numpy.typing import ArrayLike

from fastnn._utils.types import Array
from fastnn.ops._arrays import (
    deliver,
    expect_apart,
    expect_ndim,
    expect_shape,
    inputs,
    output,
    unless_left,
)
from fastnn.ops._dispatch import LEFT_OUT, checked, run

_affine, _affine_relu = checked("affine"), checked("affine_relu")
_affine_backward = checked("affine_backward")
_affine_relu_backward = checked("affine_relu_backward")


def _expect_affine(x: Array, W: Array) -> None:
    expect_ndim("x", x, 2, "(N, D)")
    expect_ndim("W", W, 2, "(D, H)")
    if x.shape[1] != W.shape[0]:
        raise ValueError(
            f"W: expected {x.shape[1]} rows, one per column of x of shape {x.shape}, "
            f"got shape {W.shape}"
        )


def _forward(name: str, x: ArrayLike, W: ArrayLike, b: ArrayLike, out: Array | None) -> Array:
    x, W, b = inputs(x=x, W=W, b=b)
    _expect_affine(x, W)
    expect_shape("b", b, W.shape[1:], "to match W of shape {}", W.shape)
    y = output("out", out, (x.shape[0], W.shape[1]), x.dtype, x, W, b)
    run(name, x, W, b, y)
    return deliver(out, y)


def affine(x: ArrayLike, W: ArrayLike, b: ArrayLike, out: Array | None = None) -> Array:
    """Affine map of each row, x W + b.

    Parameters
    ----------
    x : array_like, shape (N, D)
        Input, one row a sample.
    W : array_like, shape (D, H)
        Weights.
    b : array_like, shape (H,)
        Bias.
    out : ndarray, shape (N, H), optional
        Where to put the result.

    Returns
    -------
    ndarray, shape (N, H)
        `out` if given.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit together, an array is not of real numbers, or `out` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.affine(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([0.5]))
    array([[11.5]])
    """
    y = _affine(x, W, b, out)
    return _forward("affine", x, W, b, out) if y is NotImplemented else y


def affine_relu(x: ArrayLike, W: ArrayLike, b: ArrayLike, out: Array | None = None) -> Array:
    """Affine map and ReLU in one, max(x W + b, 0).

    Parameters
    ----------
    x : array_like, shape (N, D)
        Input, one row a sample.
    W : array_like, shape (D, H)
        Weights.
    b : array_like, shape (H,)
        Bias.
    out : ndarray, shape (N, H), optional
        Where to put the result.

    Returns
    -------
    ndarray, shape (N, H)
        `out` if given.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit together, an array is not of real numbers, or `out` does not fit.
    """
    y = _affine_relu(x, W, b, out)
    return _forward("affine_relu", x, W, b, out) if y is NotImplemented else y


def _backward(
    dout: Array,
    x: Array,
    W: Array,
    y: Array | None,
    dx: Array | None,
    dW: Array | None,
    db: Array | None,
    input_gradient: bool,
) -> tuple[Array | None, Array, Array]:
    _expect_affine(x, W)
    shape = (x.shape[0], W.shape[1])
    why = "to match x of shape {} and W of shape {}"
    expect_shape("dout", dout, shape, why, x.shape, W.shape)
    read = [dout, x, W] if y is None else [dout, x, W, y]
    to_dx = unless_left("dx", dx, input_gradient, x.shape, x.dtype, *read)
    to_dW = output("dW", dW, W.shape, x.dtype, *read)
    to_db = output("db", db, W.shape[1:], x.dtype, *read)
    expect_apart({"dx": dx, "dW": dW, "db": db})
    if y is None:
        run("affine_backward", dout, x, W, to_dx, to_dW, to_db)
    else:
        expect_shape("y", y, shape, "like dout")
        run("affine_relu_backward", dout, x, W, y, to_dx, to_dW, to_db)
    first = None if to_dx is None else deliver(dx, to_dx)
    return first, deliver(dW, to_dW), deliver(db, to_db)


def affine_backward(
    dout: ArrayLike,
    x: ArrayLike,
    W: ArrayLike,
    *,
    dx: Array | None = None,
    dW: Array | None = None,
    db: Array | None = None,
    input_gradient: bool = True,
) -> tuple[Array | None, Array, Array]:
    """Gradients of :func:`affine`: dout W^T, x^T dout and the column sums of dout.

    Parameters
    ----------
    dout : array_like, shape (N, H)
        Gradient of the loss with respect to the output.
    x : array_like, shape (N, D)
        The input.
    W : array_like, shape (D, H)
        The weights.
    dx, dW, db : ndarray, shapes (N, D), (D, H), (H,), optional
        Where to put the results.
    input_gradient : bool
        Whether to compute dx; the first layer of a network does not need it.

    Returns
    -------
    dx : ndarray, shape (N, D), or None
        None without `input_gradient`.
    dW : ndarray, shape (D, H)
    db : ndarray, shape (H,)

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit together, an array is not of real numbers, or an output does
        not fit or shares memory with another.
    """
    if input_gradient or dx is None:
        done = _affine_backward(dout, x, W, dx if input_gradient else LEFT_OUT, dW, db)
        if done is not NotImplemented:
            return done
    dout, x, W = inputs(dout=dout, x=x, W=W)
    return _backward(dout, x, W, None, dx, dW, db, input_gradient)


def affine_relu_backward(
    dout: ArrayLike,
    x: ArrayLike,
    W: ArrayLike,
    y: ArrayLike,
    *,
    dx: Array | None = None,
    dW: Array | None = None,
    db: Array | None = None,
    input_gradient: bool = True,
) -> tuple[Array | None, Array, Array]:
    """Gradients of :func:`affine_relu`; dout counts where the output y is above 0.

    Parameters
    ----------
    dout : array_like, shape (N, H)
        Gradient of the loss with respect to the output.
    x : array_like, shape (N, D)
        The input.
    W : array_like, shape (D, H)
        The weights.
    y : array_like, shape (N, H)
        The output.
    dx, dW, db : ndarray, shapes (N, D), (D, H), (H,), optional
        Where to put the results.
    input_gradient : bool
        Whether to compute dx; the first layer of a network does not need it.

    Returns
    -------
    dx : ndarray, shape (N, D), or None
        None without `input_gradient`.
    dW : ndarray, shape (D, H)
    db : ndarray, shape (H,)

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit together, an array is not of real numbers, or an output does
        not fit or shares memory with another.
    """
    if input_gradient or dx is None:
        done = _affine_relu_backward(dout, x, W, y, dx if input_gradient else LEFT_OUT, dW, db)
        if done is not NotImplemented:
            return done
    dout, x, W, y = inputs(dout=dout, x=x, W=W, y=y)
    return _backward(dout, x, W, y, dx, dW, db, input_gradient)
