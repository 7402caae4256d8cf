"""fastnn, as a user calls it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from fastnn import ops, optimizers
from fastnn._bench.case import Variant
from fastnn._bench.problems import EPS, Update
from fastnn._bench.training import images
from fastnn._bench.training.images import ImageProblem
from fastnn._bench.training.problem import Problem, results_of
from fastnn._bench.training.with_fastnn import Training
from fastnn.kernels import limits

session: Callable[[], AbstractContextManager[Any]] = nullcontext


def products(x: Any, W: Any, times: int) -> list[Variant]:
    """Return so many products, without Python between them."""
    out = np.empty((len(x), W.shape[1]), x.dtype)

    def run() -> list[Any]:
        limits.products(times, x, W, out)
        return [out]

    return [Variant("compiled loop", run)]


def affine(x: Any, W: Any, b: Any) -> list[Variant]:
    """Return a product with a bias."""
    out = np.empty((len(x), b.size), x.dtype)
    return [Variant("ops.affine", lambda: [ops.affine(x, W, b, out=out)])]


def affine_relu(x: Any, W: Any, b: Any) -> list[Variant]:
    """Return the forward pass."""
    out = np.empty((len(x), b.size), x.dtype)
    return [Variant("ops.affine_relu", lambda: [ops.affine_relu(x, W, b, out=out)])]


def affine_relu_backward(dout: Any, x: Any, W: Any, y: Any) -> list[Variant]:
    """Return the backward pass."""
    dx, dW, db = np.empty_like(x), np.empty_like(W), np.empty(W.shape[1], W.dtype)
    run = partial(ops.affine_relu_backward, dout, x, W, y, dx=dx, dW=dW, db=db)
    return [Variant("ops.affine_relu_backward", run)]


def convolution(x: Any, W: Any, b: Any, pad: int) -> list[Variant]:
    """Return the forward pass."""
    out = ops.convolution(x, W, b, 1, pad)
    return [Variant("ops.convolution", lambda: [ops.convolution(x, W, b, 1, pad, out=out)])]


def convolution_backward(dout: Any, x: Any, W: Any, pad: int) -> list[Variant]:
    """Return the backward pass."""
    dx, dW, db = np.empty_like(x), np.empty_like(W), np.empty(len(W), W.dtype)
    run = partial(ops.convolution_backward, dout, x, W, 1, pad, dx=dx, dW=dW, db=db)
    return [Variant("ops.convolution_backward", run)]


def max_pool(x: Any, dout: Any) -> list[Variant]:
    """Return forward and backward pass, with windows of 2 x 2."""
    dx, (y, argmax) = np.empty_like(x), ops.max_pool(x, 2, 2, 2)

    def run() -> list[Any]:
        ops.max_pool(x, 2, 2, 2, out=y, argmax=argmax)
        return [y, ops.max_pool_backward(dout, argmax, x.shape, 2, 2, 2, dx=dx)]

    return [Variant("ops.max_pool, max_pool_backward", run)]


def batchnorm(x: Any, gamma: Any, beta: Any, dout: Any) -> list[Variant]:
    """Return forward and backward pass."""
    out, dx, dgamma, dbeta = (np.empty_like(a) for a in (x, x, gamma, gamma))
    running = np.zeros_like(gamma), np.ones_like(gamma)

    def run() -> list[Any]:
        y, mean, rstd = ops.batchnorm(x, gamma, beta, *running, eps=EPS, out=out)
        ops.batchnorm_backward(dout, x, gamma, mean, rstd, dx=dx, dgamma=dgamma, dbeta=dbeta)
        return [y, dx, dgamma, dbeta]

    return [Variant("ops.batchnorm, batchnorm_backward", run)]


def update(problem: Update) -> list[Variant]:
    """Return an update by ``Optimizer.update``."""
    settings: dict[str, Any] = dict(problem.settings)
    if problem.rule == "Adam":
        settings["bias_correction"] = "explicit"
    optimizer = getattr(optimizers, problem.rule)(**settings)
    params = {str(i): p.copy() for i, p in enumerate(problem.params)}
    grads = {str(i): g for i, g in enumerate(problem.grads)}
    for name in optimizer.rule.states:
        state = {key: np.full_like(p, problem.state) for key, p in params.items()}
        setattr(optimizer, name, state)

    def run() -> list[Any]:
        optimizer.update(params, grads)
        return list(params.values())

    return [Variant(f"optimizers.{problem.rule}", run)]


def sigmoid(x: Any) -> list[Variant]:
    """Return the logistic function."""
    out = np.empty_like(x)
    return [Variant("ops.sigmoid", lambda: [ops.sigmoid(x, out=out)])]


def tanh(x: Any) -> list[Variant]:
    """Return the hyperbolic tangent."""
    out = np.empty_like(x)
    return [Variant("ops.tanh", lambda: [ops.tanh(x, out=out)])]


def gelu_tanh(x: Any) -> list[Variant]:
    """Return the Gaussian error linear unit, in its tanh form: NumPy has no error function."""
    out = np.empty_like(x)
    return [Variant("ops.gelu", lambda: [ops.gelu(x, "tanh", out=out)])]


def silu(x: Any) -> list[Variant]:
    """Return the sigmoid linear unit."""
    out = np.empty_like(x)
    return [Variant("ops.silu", lambda: [ops.silu(x, out=out)])]


def dropout(x: Any, ratio: float) -> list[Variant]:
    """Return dropout in training."""
    out, mask = np.empty_like(x), np.empty(x.shape, np.bool_)
    run = partial(ops.dropout, x, ratio, 0, 0, inverted=True, out=out, mask=mask)
    return [Variant("ops.dropout", run)]


def softmax_cross_entropy(x: Any, t: Any) -> list[Variant]:
    """Return the loss and its gradient."""
    dx = np.empty_like(x)
    run = partial(ops.softmax_cross_entropy, x, t, dx=dx)
    return [Variant("ops.softmax_cross_entropy", run)]


def training(problem: Problem, backend: str = "numba") -> list[Variant]:
    """Return training by ``fit``."""
    x, t = problem.x, problem.t
    losses: list[Any] = [None]
    trained = Training(
        problem.spec, problem.spec.initial(), x, t, backend=backend, seed=problem.seed
    )

    def run() -> list[Any]:
        losses[0] = trained.epoch(problem.lr, epochs=problem.epochs)
        return []

    return [Variant("fit", run, results_of(trained, losses))]


def training_of_images(given: ImageProblem) -> list[Variant]:
    """Return training by ``fit``."""
    return [Variant("fit", images.Training(given).epoch)]
