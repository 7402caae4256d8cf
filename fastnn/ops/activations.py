"""Activations and softmax.

Gradients are computed from the output `y` where that tells what the input was: ReLU, leaky ReLU,
ELU, softplus, sigmoid, tanh. GELU and SiLU fall and rise, so theirs take the input `x`. The
identity needs no function: its output is its input, and its gradient that of the output.
"""

from __future__ import annotations

from typing import SupportsFloat

from numpy.typing import ArrayLike

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.ops._arrays import deliver, expect_ndim, expect_shape, inputs, is_plain, output
from fastnn.ops._dispatch import checked, run
from fastnn.ops._memory import empty

_relu, _relu_backward = checked("relu"), checked("relu_backward")
_leaky_relu, _leaky_relu_backward = checked("leaky_relu"), checked("leaky_relu_backward")
_elu, _elu_backward = checked("elu"), checked("elu_backward")
_silu, _silu_backward = checked("silu"), checked("silu_backward")
_softplus, _softplus_backward = checked("softplus"), checked("softplus_backward")
_sigmoid, _sigmoid_backward = checked("sigmoid"), checked("sigmoid_backward")
_tanh, _tanh_backward = checked("tanh"), checked("tanh_backward")
_softmax = checked("softmax")
# Of GELU by its form, as is how names of kernels go on.
_gelu = {"none": checked("gelu"), "tanh": checked("gelu_tanh")}
_gelu_backward = {"none": checked("gelu_backward"), "tanh": checked("gelu_tanh_backward")}
_FORMS = {"none": "", "tanh": "_tanh"}


def _forward(name: str, x: ArrayLike, out: Array | None, *settings: float) -> Array:
    if out is None and is_plain(x):  # the rest takes half a microsecond
        y = empty(x.shape, x.dtype)
        run(name, x, *settings, y)
        return y
    (x,) = inputs(x=x)
    y = output("out", out, x.shape, x.dtype, *(() if out is x else (x,)))
    run(name, x, *settings, y)
    return deliver(out, y)


def _backward(
    name: str, dout: ArrayLike, y: ArrayLike, dx: Array | None, *settings: float
) -> Array:
    """Call a backward pass that takes the output of the forward pass."""
    dout, y = inputs(dout=dout, y=y)
    expect_shape("dout", dout, y.shape, "like y")
    return _gradient(name, dout, y, dx, *settings)


def _backward_from_input(name: str, dout: ArrayLike, x: ArrayLike, dx: Array | None) -> Array:
    """Call a backward pass that takes the input of the forward pass."""
    dout, x = inputs(dout=dout, x=x)
    expect_shape("dout", dout, x.shape, "like x")
    return _gradient(name, dout, x, dx)


def _gradient(name: str, dout: Array, kept: Array, dx: Array | None, *settings: float) -> Array:
    apart = [a for a in (dout, kept) if a is not dx]
    result = output("dx", dx, kept.shape, kept.dtype, *apart)
    run(name, dout, kept, *settings, result)
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
    y = _relu(x, out)
    return _forward("relu", x, out) if y is NotImplemented else y


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
    result = _relu_backward(dout, y, dx)
    if result is NotImplemented:
        return _backward("relu_backward", dout, y, dx)
    return result


def leaky_relu(
    x: ArrayLike, negative_slope: SupportsFloat = 0.01, out: Array | None = None
) -> Array:
    """Leaky rectified linear unit, elementwise: x where x > 0, else negative_slope x.

    Parameters
    ----------
    x : array_like
        Any shape.
    negative_slope : float
        At least 0, for the output to tell the sign of the input.
    out : ndarray, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray
        Shaped like `x`; `out` if given. NaN stays NaN.

    Raises
    ------
    TypeError, ValueError
        If `x` is not of real numbers, `negative_slope` not in its range, or `out` does not fit.

    References
    ----------
    Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models",
    ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import ops
    >>> ops.leaky_relu(np.array([-1.0, 2.0]))
    array([-0.01,  2.  ])
    """
    slope = numbers.not_negative("negative_slope", negative_slope)
    y = _leaky_relu(x, slope, out)
    return _forward("leaky_relu", x, out, slope) if y is NotImplemented else y


def leaky_relu_backward(
    dout: ArrayLike, y: ArrayLike, negative_slope: SupportsFloat = 0.01, dx: Array | None = None
) -> Array:
    """Gradient of :func:`leaky_relu`: dout where y > 0, else negative_slope dout.

    Parameters
    ----------
    dout : array_like
        Gradient of the loss with respect to the output.
    y : array_like
        The output, shaped like `dout`.
    negative_slope : float
        As in the forward pass.
    dx : ndarray, optional
        Where to put the result; may be `dout` or `y`.

    Returns
    -------
    ndarray
        Shaped like `y`; `dx` if given.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, an array is not of real numbers, `negative_slope` is not in its range, or
        `dx` does not fit.
    """
    slope = numbers.not_negative("negative_slope", negative_slope)
    result = _leaky_relu_backward(dout, y, slope, dx)
    if result is NotImplemented:
        return _backward("leaky_relu_backward", dout, y, dx, slope)
    return result


def elu(x: ArrayLike, alpha: SupportsFloat = 1.0, out: Array | None = None) -> Array:
    """Exponential linear unit, elementwise: x where x > 0, else alpha (exp(x) - 1).

    Parameters
    ----------
    x : array_like
        Any shape.
    alpha : float
        At least 0, for the output to tell the sign of the input.
    out : ndarray, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray
        Shaped like `x`; `out` if given. NaN stays NaN.

    Raises
    ------
    TypeError, ValueError
        If `x` is not of real numbers, `alpha` not in its range, or `out` does not fit.

    References
    ----------
    Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential
    linear units (ELUs)", ICLR 2016.
    """
    alpha = numbers.not_negative("alpha", alpha)
    y = _elu(x, alpha, out)
    return _forward("elu", x, out, alpha) if y is NotImplemented else y


def elu_backward(
    dout: ArrayLike, y: ArrayLike, alpha: SupportsFloat = 1.0, dx: Array | None = None
) -> Array:
    """Gradient of :func:`elu`: dout where y > 0, else dout (y + alpha), which is dout alpha exp(x).

    Parameters
    ----------
    dout : array_like
        Gradient of the loss with respect to the output.
    y : array_like
        The output, shaped like `dout`.
    alpha : float
        As in the forward pass.
    dx : ndarray, optional
        Where to put the result; may be `dout` or `y`.

    Returns
    -------
    ndarray
        Shaped like `y`; `dx` if given.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, an array is not of real numbers, `alpha` is not in its range, or
        `dx` does not fit.
    """
    alpha = numbers.not_negative("alpha", alpha)
    result = _elu_backward(dout, y, alpha, dx)
    if result is NotImplemented:
        return _backward("elu_backward", dout, y, dx, alpha)
    return result


def gelu(x: ArrayLike, approximate: str = "none", out: Array | None = None) -> Array:
    """Gaussian error linear unit, elementwise: x P(x), P being the normal distribution function.

    Parameters
    ----------
    x : array_like
        Any shape.
    approximate : {"none", "tanh"}
        Exact, or by a hyperbolic tangent, which costs half as much.
    out : ndarray, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray
        Shaped like `x`; `out` if given. NaN stays NaN.

    Raises
    ------
    TypeError, ValueError
        If `x` is not of real numbers, `approximate` not one of its forms, or `out` does not fit.

    Notes
    -----
    P(x) = (1 + erf(x / sqrt(2))) / 2, computed as erfc(-x / sqrt(2)) / 2, which keeps the digits of
    small probabilities. By "tanh": P(x) ~ (1 + tanh(u)) / 2, u = sqrt(2 / pi) (x + 0.044715 x^3),
    computed as 1 / (1 + exp(-2 u)); off by up to 0.0005. Of minus infinity, either is NaN, a
    product of infinity and zero.

    References
    ----------
    Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415, 2016.
    """
    form = numbers.one_of("approximate", approximate, tuple(_FORMS))
    y = _gelu[form](x, out)
    return _forward("gelu" + _FORMS[form], x, out) if y is NotImplemented else y


def gelu_backward(
    dout: ArrayLike, x: ArrayLike, approximate: str = "none", dx: Array | None = None
) -> Array:
    """Gradient of :func:`gelu`, from its input: dout (P(x) + x P'(x)).

    Parameters
    ----------
    dout : array_like
        Gradient of the loss with respect to the output.
    x : array_like
        The input, shaped like `dout`.
    approximate : {"none", "tanh"}
        As in the forward pass.
    dx : ndarray, optional
        Where to put the result; may be `dout` or `x`.

    Returns
    -------
    ndarray
        Shaped like `x`; `dx` if given.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, an array is not of real numbers, `approximate` is not one of its forms, or
        `dx` does not fit.

    Notes
    -----
    P'(x) = exp(-x^2 / 2) / sqrt(2 pi) for the exact form. The output does not tell the gradient:
    each value between -0.17 and 0 is that of two inputs.
    """
    form = numbers.one_of("approximate", approximate, tuple(_FORMS))
    result = _gelu_backward[form](dout, x, dx)
    if result is NotImplemented:
        return _backward_from_input(f"gelu{_FORMS[form]}_backward", dout, x, dx)
    return result


def silu(x: ArrayLike, out: Array | None = None) -> Array:
    """Sigmoid linear unit, also called swish, elementwise: x / (1 + exp(-x)).

    Parameters
    ----------
    x : array_like
        Any shape.
    out : ndarray, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray
        Shaped like `x`; `out` if given. NaN stays NaN.

    Raises
    ------
    TypeError, ValueError
        If `x` is not of real numbers or `out` does not fit.

    References
    ----------
    Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning", Neural Networks 107, 2018; Ramachandran, Zoph and Le,
    "Searching for activation functions", arXiv:1710.05941, 2017.
    """
    y = _silu(x, out)
    return _forward("silu", x, out) if y is NotImplemented else y


def silu_backward(dout: ArrayLike, x: ArrayLike, dx: Array | None = None) -> Array:
    """Gradient of :func:`silu`, from its input: dout s (1 + x (1 - s)), s = 1 / (1 + exp(-x)).

    Parameters
    ----------
    dout : array_like
        Gradient of the loss with respect to the output.
    x : array_like
        The input, shaped like `dout`.
    dx : ndarray, optional
        Where to put the result; may be `dout` or `x`.

    Returns
    -------
    ndarray
        Shaped like `x`; `dx` if given.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, an array is not of real numbers, or `dx` does not fit.

    Notes
    -----
    The output does not tell the gradient: each value between -0.28 and 0 is that of two inputs.
    """
    result = _silu_backward(dout, x, dx)
    if result is NotImplemented:
        return _backward_from_input("silu_backward", dout, x, dx)
    return result


def softplus(x: ArrayLike, out: Array | None = None) -> Array:
    """Softplus, a smooth ReLU, elementwise: log(1 + exp(x)).

    Parameters
    ----------
    x : array_like
        Any shape.
    out : ndarray, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray
        Shaped like `x`; `out` if given. NaN stays NaN.


    Raises
    ------
    TypeError, ValueError
        If `x` is not of real numbers or `out` does not fit.

    Notes
    -----
    Computed as max(x, 0) + log(1 + exp(-|x|)), whose exponential is at most 1.

    References
    ----------
    Dugas, Bengio, Belisle, Nadeau and Garcia, "Incorporating second-order functional knowledge for
    better option pricing", NIPS 2000.
    """
    y = _softplus(x, out)
    return _forward("softplus", x, out) if y is NotImplemented else y


def softplus_backward(dout: ArrayLike, y: ArrayLike, dx: Array | None = None) -> Array:
    """Gradient of :func:`softplus`: dout (1 - exp(-y)), which is dout / (1 + exp(-x)).

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
    result = _softplus_backward(dout, y, dx)
    if result is NotImplemented:
        return _backward("softplus_backward", dout, y, dx)
    return result


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
    y = _sigmoid(x, out)
    return _forward("sigmoid", x, out) if y is NotImplemented else y


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
    result = _sigmoid_backward(dout, y, dx)
    if result is NotImplemented:
        return _backward("sigmoid_backward", dout, y, dx)
    return result


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
    y = _tanh(x, out)
    return _forward("tanh", x, out) if y is NotImplemented else y


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
    result = _tanh_backward(dout, y, dx)
    if result is NotImplemented:
        return _backward("tanh_backward", dout, y, dx)
    return result


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
    done = _softmax(x, out)
    if done is not NotImplemented:
        return done
    (x,) = inputs(x=x)
    expect_ndim("x", x, 2, "(N, C)")
    if x.shape[1] == 0:
        raise ValueError(f"x: expected at least one class, got shape {x.shape}")
    y = output("out", out, x.shape, x.dtype, *(() if out is x else (x,)))
    run("softmax", x, y)
    return deliver(out, y)
