"""NumPy at its best: the expressions of the reference, with ``out=`` wherever it exists."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np

from fastnn._bench.case import Variant
from fastnn._bench.peers import ours
from fastnn._bench.problems import EPS, Update
from fastnn._bench.training.problem import Problem

session: Callable[[], AbstractContextManager[Any]] = partial(np.errstate, all="ignore")


def products(x: Any, W: Any, times: int) -> list[Variant]:
    """Return so many products."""
    y = np.empty((len(x), W.shape[1]), x.dtype)

    def run() -> list[Any]:
        for _ in range(times):
            np.dot(x, W, out=y)
        return [y]

    return [Variant("dot", run)]


def affine(x: Any, W: Any, b: Any) -> list[Variant]:
    """Return a product with a bias."""
    y = np.empty((len(x), b.size), x.dtype)

    def run() -> list[Any]:
        np.dot(x, W, out=y)
        np.add(y, b, out=y)
        return [y]

    return [Variant("dot, add", run)]


def affine_relu(x: Any, W: Any, b: Any) -> list[Variant]:
    """Return the forward pass."""
    y = np.empty((len(x), b.size), x.dtype)

    def run() -> list[Any]:
        np.dot(x, W, out=y)
        np.add(y, b, out=y)
        np.maximum(y, 0, out=y)
        return [y]

    return [Variant("dot, add, maximum", run)]


def affine_relu_backward(dout: Any, x: Any, W: Any, y: Any) -> list[Variant]:
    """Return the backward pass."""
    dx, dW, db = np.empty_like(x), np.empty_like(W), np.empty(W.shape[1], W.dtype)
    mask, dz = np.empty(y.shape, np.bool_), np.empty_like(y)

    def run() -> list[Any]:
        np.greater(y, 0, out=mask)
        np.multiply(dout, mask, out=dz)
        np.dot(x.T, dz, out=dW)
        np.add.reduce(dz, axis=0, out=db)
        np.dot(dz, W.T, out=dx)
        return [dx, dW, db]

    return [Variant("greater, multiply, dot, add.reduce", run)]


def _columns(x: Any, W: Any, pad: int) -> Any:
    """Return a row of pixels for each place of a filter."""
    fh, fw = W.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (fh, fw), (2, 3))
    return patches.transpose(0, 2, 3, 1, 4, 5).reshape(-1, W[0].size)


def _output_shape(x: Any, W: Any, pad: int) -> tuple[int, ...]:
    h, w = (x.shape[i] + 2 * pad - W.shape[i] + 1 for i in (2, 3))
    return len(x), h, w, len(W)


def convolution(x: Any, W: Any, b: Any, pad: int) -> list[Variant]:
    """Return the forward pass."""

    def run() -> list[Any]:
        y = np.dot(_columns(x, W, pad), W.reshape(len(W), -1).T)
        np.add(y, b, out=y)
        return [y.reshape(_output_shape(x, W, pad)).transpose(0, 3, 1, 2)]

    return [Variant("sliding_window_view, dot, add", run)]


def convolution_backward(dout: Any, x: Any, W: Any, pad: int) -> list[Variant]:
    """Return the backward pass, from columns that the forward pass has kept."""
    col, (f, _, fh, fw) = _columns(x, W, pad), W.shape
    n, c, h, w = x.shape
    shape = (*_output_shape(x, W, pad)[:3], c, fh, fw)

    def run() -> list[Any]:
        rows = dout.transpose(0, 2, 3, 1).reshape(-1, f)
        dW = np.dot(col.T, rows).T.reshape(W.shape)
        patches = np.dot(rows, W.reshape(f, -1)).reshape(shape).transpose(0, 3, 4, 5, 1, 2)
        padded = np.zeros((n, c, h + 2 * pad, w + 2 * pad), x.dtype)
        for i in range(fh):
            for j in range(fw):
                padded[:, :, i : i + shape[1], j : j + shape[2]] += patches[:, :, i, j]
        return [padded[:, :, pad : pad + h, pad : pad + w], dW, rows.sum(axis=0)]

    return [Variant("dot, sum, += for each pixel of a filter", run)]


def max_pool(x: Any, dout: Any) -> list[Variant]:
    """Return forward and backward pass, with windows of 2 x 2."""
    corners = [x[:, :, i::2, j::2] for i in range(2) for j in range(2)]
    dx, y = np.empty_like(x), np.empty_like(dout)
    slopes = [dx[:, :, i::2, j::2] for i in range(2) for j in range(2)]

    def run() -> list[Any]:
        np.copyto(y, corners[0])
        for corner in corners[1:]:
            np.maximum(y, corner, out=y)
        left = np.ones(y.shape, np.bool_)  # where the largest has not been seen yet
        for corner, slope in zip(corners, slopes, strict=True):
            here = (corner == y) & left
            np.multiply(dout, here, out=slope)
            left &= ~here
        return [y, dx]

    return [Variant("maximum of the windows' corners", run)]


def batchnorm(x: Any, gamma: Any, beta: Any, dout: Any) -> list[Variant]:
    """Return forward and backward pass."""
    xhat, y, dx = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    axes = (0, *range(2, x.ndim))
    count = x.dtype.type(x.size // gamma.size)
    wide = (1, -1, *[1] * (x.ndim - 2))
    gamma_, beta_ = gamma.reshape(wide), beta.reshape(wide)

    def run() -> list[Any]:
        np.subtract(x, x.mean(axis=axes, keepdims=True), out=xhat)
        np.multiply(xhat, xhat, out=y)
        rstd = 1 / np.sqrt(y.mean(axis=axes, keepdims=True) + x.dtype.type(EPS))
        np.multiply(xhat, rstd, out=xhat)
        np.multiply(xhat, gamma_, out=y)
        np.add(y, beta_, out=y)
        dbeta = np.add.reduce(dout, axis=axes)
        np.multiply(dout, xhat, out=dx)
        dgamma = np.add.reduce(dx, axis=axes)
        np.multiply(xhat, dgamma.reshape(wide) / count, out=dx)
        np.add(dx, dbeta.reshape(wide) / count, out=dx)
        np.subtract(dout, dx, out=dx)
        np.multiply(dx, gamma_ * rstd, out=dx)
        return [y, dx, dgamma, dbeta]

    return [Variant("ufuncs with out=", run)]


def _sgd(p: Any, g: Any, t: Any, step: int, lr: float) -> None:
    np.multiply(g, lr, out=t)
    np.subtract(p, t, out=p)


def _momentum(p: Any, g: Any, v: Any, t: Any, step: int, lr: float, momentum: float) -> None:
    np.multiply(v, momentum, out=v)
    np.multiply(g, lr, out=t)
    np.subtract(v, t, out=v)
    np.add(p, v, out=p)


def _nesterov(p: Any, g: Any, v: Any, t: Any, step: int, lr: float, momentum: float) -> None:
    np.multiply(v, momentum, out=v)
    np.multiply(g, lr, out=t)
    np.subtract(v, t, out=v)
    np.subtract(p, t, out=p)
    np.multiply(v, momentum, out=t)
    np.add(p, t, out=p)


def _step_by_root(p: Any, g: Any, h: Any, t: Any, lr: float, eps: float) -> None:
    np.sqrt(h, out=t)
    np.add(t, eps, out=t)
    np.divide(g, t, out=t)
    np.multiply(t, lr, out=t)
    np.subtract(p, t, out=p)


def _adagrad(p: Any, g: Any, h: Any, t: Any, step: int, lr: float, eps: float) -> None:
    np.multiply(g, g, out=t)
    np.add(h, t, out=h)
    _step_by_root(p, g, h, t, lr, eps)


def _rmsprop(
    p: Any, g: Any, h: Any, t: Any, step: int, lr: float, decay_rate: float, eps: float
) -> None:
    np.multiply(h, decay_rate, out=h)
    np.multiply(g, g, out=t)
    np.multiply(t, 1 - decay_rate, out=t)
    np.add(h, t, out=h)
    _step_by_root(p, g, h, t, lr, eps)


def _adam(
    p: Any, g: Any, m: Any, v: Any, t: Any, step: int,
    lr: float, beta1: float, beta2: float, eps: float,
) -> None:  # fmt: skip
    np.subtract(g, m, out=t)
    np.multiply(t, 1 - beta1, out=t)
    np.add(m, t, out=m)
    np.multiply(g, g, out=t)
    np.subtract(t, v, out=t)
    np.multiply(t, 1 - beta2, out=t)
    np.add(v, t, out=v)
    root = (1 - beta2**step) ** 0.5
    _step_by_root(p, m, v, t, lr * root / (1 - beta1**step), eps * root)


_UPDATES: dict[str, Callable[..., None]] = {
    "SGD": _sgd,
    "Momentum": _momentum,
    "Nesterov": _nesterov,
    "AdaGrad": _adagrad,
    "RMSProp": _rmsprop,
    "Adam": _adam,
}
_STATES = {"SGD": 0, "Adam": 2}  # others: 1


def update(problem: Update) -> list[Variant]:
    """Return an update, array by array."""
    apply, settings = _UPDATES[problem.rule], tuple(problem.settings.values())
    params = [p.copy() for p in problem.params]
    arrays = [
        (
            p,
            g,
            *(np.full_like(p, problem.state) for _ in range(_STATES.get(problem.rule, 1))),
            np.empty_like(p),
        )
        for p, g in zip(params, problem.grads, strict=True)
    ]
    step = 0

    def run() -> list[Any]:
        nonlocal step
        step += 1
        for each in arrays:
            apply(*each, step, *settings)
        return params

    return [Variant("ufuncs with out=", run)]


def sigmoid(x: Any) -> list[Variant]:
    """Return the logistic function."""
    y = np.empty_like(x)

    def run() -> list[Any]:
        np.negative(x, out=y)
        np.exp(y, out=y)
        np.add(y, 1, out=y)
        np.reciprocal(y, out=y)
        return [y]

    return [Variant("negative, exp, add, reciprocal", run)]


def tanh(x: Any) -> list[Variant]:
    """Return the hyperbolic tangent."""
    y = np.empty_like(x)
    return [Variant("tanh", lambda: [np.tanh(x, out=y)])]


def gelu_tanh(x: Any) -> list[Variant]:
    """Return the Gaussian error linear unit, in its tanh form: NumPy has no error function."""
    y = np.empty_like(x)
    half, root, cubic = x.dtype.type(0.5), x.dtype.type((2 / np.pi) ** 0.5), x.dtype.type(0.044715)

    def run() -> list[Any]:
        np.multiply(x, x, out=y)
        np.multiply(y, root * cubic, out=y)
        np.add(y, root, out=y)
        np.multiply(y, x, out=y)
        np.tanh(y, out=y)
        np.add(y, 1, out=y)
        np.multiply(y, half, out=y)
        np.multiply(y, x, out=y)
        return [y]

    return [Variant("ufuncs with out=, tanh", run)]


def silu(x: Any) -> list[Variant]:
    """Return the sigmoid linear unit."""
    y = np.empty_like(x)

    def run() -> list[Any]:
        np.negative(x, out=y)
        np.exp(y, out=y)
        np.add(y, 1, out=y)
        np.divide(x, y, out=y)
        return [y]

    return [Variant("negative, exp, add, divide", run)]


def dropout(x: Any, ratio: float) -> list[Variant]:
    """Return dropout in training."""
    y, mask = np.empty_like(x), np.empty(x.shape, np.bool_)
    rng, scale = np.random.default_rng(0), x.dtype.type(1 / (1 - ratio))

    def run() -> list[Any]:
        rng.random(dtype=x.dtype, out=y)
        np.greater_equal(y, ratio, out=mask)
        np.multiply(x, scale, out=y)
        np.multiply(y, mask, out=y)
        return [y, mask]

    return [Variant("Generator.random, ufuncs", run)]


def softmax_cross_entropy(x: Any, t: Any) -> list[Variant]:
    """Return the loss and its gradient."""
    dx, rows = np.empty_like(x), np.arange(len(x))
    one, n = x.dtype.type(1), x.dtype.type(len(x))

    def run() -> list[Any]:
        np.subtract(x, x.max(axis=1, keepdims=True), out=dx)
        chosen = dx[rows, t]
        np.exp(dx, out=dx)
        total = dx.sum(axis=1, keepdims=True)
        loss = np.log(total).mean() - chosen.mean()
        np.multiply(dx, one / (total * n), out=dx)
        dx[rows, t] -= one / n
        return [loss, dx]

    return [Variant("ufuncs with out=", run)]


def training(problem: Problem) -> list[Variant]:
    """Return training by ``fit`` on the NumPy reference."""
    return [v._replace(api="fit, backend numpy") for v in ours.training(problem, "numpy")]
