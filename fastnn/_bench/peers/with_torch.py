"""PyTorch on the CPU: its operators called one by one, fused optimizers; autograd to train."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from fastnn._bench.case import Variant
from fastnn._bench.problems import EPS, Update
from fastnn._bench.training import with_torch_images
from fastnn._bench.training.images import ImageProblem
from fastnn._bench.training.problem import Problem, in_epochs
from fastnn._bench.training.with_torch import Training

session: Callable[[], AbstractContextManager[Any]] = torch.inference_mode

aten = torch.ops.aten


def _tensors(*arrays: Any) -> tuple[Any, ...]:
    return tuple(torch.from_numpy(np.array(a)) for a in arrays)


def products(x: Any, W: Any, times: int) -> list[Variant]:
    """Return so many products."""
    x, W = _tensors(x, W)
    y = torch.empty(len(x), W.shape[1], dtype=x.dtype)

    def run() -> list[Any]:
        for _ in range(times):
            torch.mm(x, W, out=y)
        return [y]

    return [Variant("mm(out=)", run)]


def affine(x: Any, W: Any, b: Any) -> list[Variant]:
    """Return a product with a bias, the weights kept either way round."""
    x, W, b = _tensors(x, W, b)
    transposed = W.t().contiguous()
    y = torch.empty(len(x), len(b), dtype=x.dtype)
    return [
        Variant("addmm(out=)", lambda: [torch.addmm(b, x, W, out=y)]),
        Variant("linear()", lambda: [functional.linear(x, transposed, b)]),
    ]


def affine_relu(x: Any, W: Any, b: Any) -> list[Variant]:
    """Return the forward pass, the weights kept either way round."""
    x, W, b = _tensors(x, W, b)
    transposed = W.t().contiguous()
    y = torch.empty(len(x), len(b), dtype=x.dtype)
    return [
        Variant("addmm(out=).relu_()", lambda: [torch.addmm(b, x, W, out=y).relu_()]),
        Variant("_addmm_activation", lambda: [torch._addmm_activation(b, x, W)]),
        Variant("linear().relu_()", lambda: [functional.linear(x, transposed, b).relu_()]),
    ]


def affine_relu_backward(dout: Any, x: Any, W: Any, y: Any) -> list[Variant]:
    """Return the backward pass, the weights kept either way round."""
    dout, x, W, y = _tensors(dout, x, W, y)
    transposed = W.t().contiguous()
    dz, dx, dW, dWt = (torch.empty_like(a) for a in (y, x, W, transposed))
    db = torch.empty(W.shape[1], dtype=x.dtype)

    def mask() -> Any:
        aten.threshold_backward.grad_input(dout, y, 0, grad_input=dz)
        torch.sum(dz, 0, out=db)

    def addmm_layout() -> list[Any]:
        mask()
        torch.mm(x.t(), dz, out=dW)
        torch.mm(dz, W.t(), out=dx)
        return [dx, dW, db]

    def linear_layout() -> list[Any]:
        mask()
        torch.mm(dz.t(), x, out=dWt)
        torch.mm(dz, transposed, out=dx)
        return [dx, dWt.t(), db]

    return [
        Variant("threshold_backward, sum, mm; W (D, H)", addmm_layout),
        Variant("threshold_backward, sum, mm; W (H, D)", linear_layout),
    ]


def convolution(x: Any, W: Any, b: Any, pad: int) -> list[Variant]:
    """Return the forward pass."""
    x, W, b = _tensors(x, W, b)
    return [Variant("conv2d", lambda: [functional.conv2d(x, W, b, padding=pad)])]


def convolution_backward(dout: Any, x: Any, W: Any, pad: int) -> list[Variant]:
    """Return the backward pass."""
    dout, x, W = _tensors(dout, x, W)
    settings = [len(W)], [1, 1], [pad, pad], [1, 1], False, [0, 0], 1, [True, True, True]
    run = partial(aten.convolution_backward, dout, x, W, *settings)
    return [Variant("convolution_backward", run)]


def max_pool(x: Any, dout: Any) -> list[Variant]:
    """Return forward and backward pass, with windows of 2 x 2."""
    x, dout = _tensors(x, dout)
    two, none = [2, 2], [0, 0]

    def run() -> list[Any]:
        y, places = aten.max_pool2d_with_indices(x, two, two)
        return [
            y,
            aten.max_pool2d_with_indices_backward(dout, x, two, two, none, [1, 1], False, places),
        ]

    return [Variant("max_pool2d_with_indices and its backward operator", run)]


def batchnorm(x: Any, gamma: Any, beta: Any, dout: Any) -> list[Variant]:
    """Return forward and backward pass."""
    x, gamma, beta, dout = _tensors(x, gamma, beta, dout)
    running = torch.zeros_like(gamma), torch.ones_like(gamma)
    forward, backward = torch.native_batch_norm, aten.native_batch_norm_backward

    def run() -> list[Any]:
        y, mean, rstd = forward(x, gamma, beta, *running, True, 0.1, EPS)
        grads = backward(dout, x, gamma, *running, mean, rstd, True, EPS, [True, True, True])
        return [y, *grads]

    return [Variant("native_batch_norm, native_batch_norm_backward", run)]


_OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "SGD": torch.optim.SGD,
    "Momentum": torch.optim.SGD,
    "Nesterov": partial(torch.optim.SGD, nesterov=True),
    "AdaGrad": torch.optim.Adagrad,
    "RMSProp": torch.optim.RMSprop,
    "Adam": torch.optim.Adam,
}
# The state that a first step would make, all of it zero.
_STATES = {
    "SGD": (),
    "Momentum": ("momentum_buffer",),
    "Nesterov": ("momentum_buffer",),
    "AdaGrad": ("sum",),
    "RMSProp": ("square_avg",),
    "Adam": ("exp_avg", "exp_avg_sq"),
}


def update(problem: Update) -> list[Variant]:
    """Return an update by ``step()``, in each implementation that the optimizer has."""
    implementations: dict[str, dict[str, bool]] = {
        "fused": {"fused": True},
        "foreach": {"foreach": True},
        "for-loop": {"foreach": False},
    }
    if problem.rule == "RMSProp":
        del implementations["fused"]  # there is none
    if problem.rule == "Nesterov":
        del implementations["foreach"]  # it overwrites the gradients, here those of the next step
    return [
        Variant(f"{problem.rule} {name}", _update(problem, flags))
        for name, flags in implementations.items()
    ]


def _update(problem: Update, flags: dict[str, bool]) -> Callable[[], list[Any]]:
    params = list(_tensors(*problem.params))
    for p, g in zip(params, _tensors(*problem.grads), strict=True):
        p.grad = g
    settings = dict(problem.settings)
    if problem.rule == "Adam":
        settings["betas"] = settings.pop("beta1"), settings.pop("beta2")  # type: ignore[assignment]
    if problem.rule == "RMSProp":
        settings["alpha"] = settings.pop("decay_rate")
    optimizer = _OPTIMIZERS[problem.rule](params, **settings, **flags)
    if problem.state:
        optimizer.step()  # makes the state; zero gradients leave the parameters alone
        for p in params:
            for name in _STATES[problem.rule]:
                optimizer.state[p][name].fill_(problem.state)

    def run() -> list[Any]:
        optimizer.step()
        return params

    return run


def sigmoid(x: Any) -> list[Variant]:
    """Return the logistic function."""
    (x,) = _tensors(x)
    y = torch.empty_like(x)
    return [Variant("sigmoid", lambda: [torch.sigmoid(x, out=y)])]


def tanh(x: Any) -> list[Variant]:
    """Return the hyperbolic tangent."""
    (x,) = _tensors(x)
    y = torch.empty_like(x)
    return [Variant("tanh", lambda: [torch.tanh(x, out=y)])]


def gelu_tanh(x: Any) -> list[Variant]:
    """Return the Gaussian error linear unit, in its tanh form: NumPy has no error function."""
    (x,) = _tensors(x)
    return [Variant("gelu", lambda: [functional.gelu(x, approximate="tanh")])]


def silu(x: Any) -> list[Variant]:
    """Return the sigmoid linear unit."""
    (x,) = _tensors(x)
    return [Variant("silu", lambda: [functional.silu(x)])]


def dropout(x: Any, ratio: float) -> list[Variant]:
    """Return dropout in training."""
    (x,) = _tensors(x)
    return [Variant("native_dropout", lambda: torch.native_dropout(x, ratio, True))]


def softmax_cross_entropy(x: Any, t: Any) -> list[Variant]:
    """Return the loss and its gradient."""
    x, t = _tensors(x, t)
    one = torch.ones((), dtype=x.dtype)

    def run() -> list[Any]:
        log_p = torch.log_softmax(x, 1)
        loss, weight = aten.nll_loss_forward(log_p, t, None, 1, -100)
        d = aten.nll_loss_backward(one, log_p, t, None, 1, -100, weight)
        return [loss, aten._log_softmax_backward_data(d, log_p, 1, x.dtype)]

    return [Variant("log_softmax, nll_loss and their backward operators", run)]


def training(problem: Problem, kind: Any = Training, api: str = "eager, fused") -> list[Variant]:
    """Return training by autograd, one call of Python for each operation."""
    # Outside the session's inference mode, of which autograd takes no tensor.
    outside = torch.inference_mode(mode=False)
    with outside:
        trained = kind(problem.spec, problem.spec.initial(), problem.x.copy(), problem.t.copy())
    variant = in_epochs(api, trained, problem)
    return [variant._replace(run=outside(variant.run))]


def training_of_images(given: ImageProblem) -> list[Variant]:
    """Return training by autograd, of images as they are and of channels last."""
    apis = (("autograd", False), ("autograd, channels last", True))
    with torch.inference_mode(mode=False):
        trainings = [(api, with_torch_images.Training(given, last)) for api, last in apis]
    return [Variant(api, training.epoch) for api, training in trainings]
