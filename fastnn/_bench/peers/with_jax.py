"""JAX on the CPU: compiled functions, donated buffers, each call waited for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from fastnn._bench.case import Variant
from fastnn._bench.problems import EPS, Update
from fastnn._bench.training.problem import Problem, in_epochs, results_of
from fastnn._bench.training.spec import NotMeasuredError
from fastnn._bench.training.with_jax import OPTIMIZERS, Training

session: Callable[[], AbstractContextManager[Any]] = nullcontext

jax.config.update("jax_enable_x64", True)


def _waiting(api: str, function: Callable[..., Any], *arrays: Any) -> list[Variant]:
    compiled, arguments = jax.jit(function), [jnp.asarray(a) for a in arrays]
    return [Variant(api, lambda: jax.block_until_ready(compiled(*arguments)))]


def affine_relu(x: Any, W: Any, b: Any) -> list[Variant]:
    """Return the forward pass."""
    return _waiting("jit", lambda x, W, b: [jnp.maximum(x @ W + b, 0)], x, W, b)


def affine_relu_backward(dout: Any, x: Any, W: Any, y: Any) -> list[Variant]:
    """Return the backward pass."""

    def gradients(dout: Any, x: Any, W: Any, y: Any) -> list[Any]:
        dz = jnp.where(y > 0, dout, 0)
        return [dz @ W.T, x.T @ dz, dz.sum(0)]

    return _waiting("jit", gradients, dout, x, W, y)


def _convolve(x: Any, W: Any, pad: int) -> Any:
    return jax.lax.conv_general_dilated(x, W, (1, 1), [(pad, pad)] * 2)


def convolution(x: Any, W: Any, b: Any, pad: int) -> list[Variant]:
    """Return the forward pass."""
    return _waiting("jit", lambda x, W, b: [_convolve(x, W, pad) + b[:, None, None]], x, W, b)


def convolution_backward(dout: Any, x: Any, W: Any, pad: int) -> list[Variant]:
    """Return the backward pass."""

    def gradients(dout: Any, x: Any, W: Any) -> list[Any]:
        _, back = jax.vjp(lambda x, W: _convolve(x, W, pad), x, W)
        return [*back(dout), dout.sum((0, 2, 3))]

    return _waiting("jit vjp", gradients, dout, x, W)


def max_pool(x: Any, dout: Any) -> list[Variant]:
    """Return forward and backward pass, with windows of 2 x 2."""

    def both(x: Any, dout: Any) -> list[Any]:
        window = 1, 1, 2, 2
        y, back = jax.vjp(
            lambda x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID"), x
        )
        return [y, *back(dout)]

    return _waiting("jit reduce_window, vjp", both, x, dout)


def batchnorm(x: Any, gamma: Any, beta: Any, dout: Any) -> list[Variant]:
    """Return forward and backward pass, one program each as in training."""
    axes, shape = (0, *range(2, x.ndim)), (1, -1, *[1] * (x.ndim - 2))
    count = x.size // gamma.size

    def forward(x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        mean = x.mean(axes)
        centred = x - mean.reshape(shape)
        var = (centred * centred).mean(axes)
        rstd = jax.lax.rsqrt(var + EPS)
        y = centred * (gamma * rstd).reshape(shape) + beta.reshape(shape)
        return y, mean, rstd, 0.9 * running_mean + 0.1 * mean, 0.9 * running_var + 0.1 * var

    def backward(dout: Any, x: Any, gamma: Any, mean: Any, rstd: Any) -> Any:
        xhat = (x - mean.reshape(shape)) * rstd.reshape(shape)
        dbeta, dgamma = dout.sum(axes), (dout * xhat).sum(axes)
        inner = dout - (dbeta.reshape(shape) + xhat * dgamma.reshape(shape)) / count
        return (gamma * rstd).reshape(shape) * inner, dgamma, dbeta

    x, gamma, beta, dout = (jnp.asarray(a) for a in (x, gamma, beta, dout))
    running = jnp.zeros_like(gamma), jnp.ones_like(gamma)
    compiled_forward, compiled_backward = jax.jit(forward), jax.jit(backward)

    def run() -> list[Any]:
        y, mean, rstd, *_ = compiled_forward(x, gamma, beta, *running)
        grads = compiled_backward(dout, x, gamma, mean, rstd)
        jax.block_until_ready((y, grads))
        return [y, *grads]

    return [Variant("jit forward, jit backward", run)]


def _sgd(p: Any, g: Any, state: Any, step: Any, lr: float) -> Any:
    return p - lr * g, ()


def _momentum(p: Any, g: Any, state: Any, step: Any, lr: float, momentum: float) -> Any:
    v = momentum * state[0] - lr * g
    return p + v, (v,)


def _nesterov(p: Any, g: Any, state: Any, step: Any, lr: float, momentum: float) -> Any:
    v = momentum * state[0] - lr * g
    return p + momentum * v - lr * g, (v,)


def _adagrad(p: Any, g: Any, state: Any, step: Any, lr: float, eps: float) -> Any:
    h = state[0] + g * g
    return p - lr * g / (jnp.sqrt(h) + eps), (h,)


def _rmsprop(
    p: Any, g: Any, state: Any, step: Any, lr: float, decay_rate: float, eps: float
) -> Any:
    h = decay_rate * state[0] + (1 - decay_rate) * g * g
    return p - lr * g / (jnp.sqrt(h) + eps), (h,)


def _adam(
    p: Any, g: Any, state: Any, step: Any, lr: float, beta1: float, beta2: float, eps: float
) -> Any:
    m = state[0] + (1 - beta1) * (g - state[0])
    v = state[1] + (1 - beta2) * (g * g - state[1])
    root = jnp.sqrt(1 - beta2**step)
    rate = lr * root / (1 - beta1**step)
    return p - rate * m / (jnp.sqrt(v) + eps * root), (m, v)


_UPDATES: dict[str, tuple[Callable[..., Any], int]] = {
    "SGD": (_sgd, 0),
    "Momentum": (_momentum, 1),
    "Nesterov": (_nesterov, 1),
    "AdaGrad": (_adagrad, 1),
    "RMSProp": (_rmsprop, 1),
    "Adam": (_adam, 2),
}


def update(problem: Update) -> list[Variant]:
    """Return an update of all arrays in one program that reuses their memory."""
    rule, states = _UPDATES[problem.rule]
    settings = tuple(problem.settings.values())

    @partial(jax.jit, donate_argnums=(0, 2, 3))
    def step(params: Any, grads: Any, state: Any, count: Any) -> Any:
        number = count.astype(params[0].dtype)
        updated = [
            rule(*arrays, number, *settings) for arrays in zip(params, grads, state, strict=True)
        ]
        return [p for p, _ in updated], [s for _, s in updated], count + 1

    params: list[Any] = [jnp.array(p) for p in problem.params]
    grads = [jnp.array(g) for g in problem.grads]
    state = [tuple(jnp.full_like(p, problem.state) for _ in range(states)) for p in params]
    count = jnp.ones((), jnp.int32)

    def run() -> list[Any]:
        nonlocal params, state, count
        params, state, count = jax.block_until_ready(step(params, grads, state, count))
        return params

    return [Variant("jit, donated buffers", run), *_with_optax(problem)]


def _with_optax(problem: Update) -> list[Variant]:
    """Return the update by optax, where it is installed and has the same formula."""
    try:
        import optax
    except ModuleNotFoundError:
        return []
    settings = problem.settings
    if problem.rule in ("SGD", "Momentum", "Nesterov"):
        momentum = settings.get("momentum")
        rule = optax.sgd(settings["lr"], momentum, nesterov=problem.rule == "Nesterov")
    elif problem.rule == "Adam":
        rule = optax.adam(settings["lr"], settings["beta1"], settings["beta2"], eps=settings["eps"])
    else:  # AdaGrad and RMSProp have eps under the root there
        return []
    if problem.state:
        return []

    @partial(jax.jit, donate_argnums=(0, 2))
    def step(params: Any, grads: Any, state: Any) -> Any:
        updates, state = rule.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    params: list[Any] = [jnp.array(p) for p in problem.params]
    grads = [jnp.array(g) for g in problem.grads]
    state = rule.init(params)

    def run() -> list[Any]:
        nonlocal params, state
        params, state = jax.block_until_ready(step(params, grads, state))
        return params

    return [Variant("optax, jit, donated buffers", run)]


def sigmoid(x: Any) -> list[Variant]:
    """Return the logistic function."""
    return _waiting("jit", lambda x: [jax.nn.sigmoid(x)], x)


def tanh(x: Any) -> list[Variant]:
    """Return the hyperbolic tangent."""
    return _waiting("jit", lambda x: [jnp.tanh(x)], x)


def gelu_tanh(x: Any) -> list[Variant]:
    """Return the Gaussian error linear unit, in its tanh form: NumPy has no error function."""
    return _waiting("jit", lambda x: [jax.nn.gelu(x, approximate=True)], x)


def silu(x: Any) -> list[Variant]:
    """Return the sigmoid linear unit."""
    return _waiting("jit", lambda x: [jax.nn.silu(x)], x)


def dropout(x: Any, ratio: float) -> list[Variant]:
    """Return dropout in training, a new mask each time."""

    @partial(jax.jit, donate_argnums=1)
    def apply(x: Any, key: Any) -> Any:
        key, now = jax.random.split(key)
        mask = jax.random.bernoulli(now, 1 - ratio, x.shape)
        return jnp.where(mask, x / (1 - ratio), 0), mask, key

    x, key = jnp.asarray(x), jax.random.key(0)

    def run() -> list[Any]:
        nonlocal key
        y, mask, key = jax.block_until_ready(apply(x, key))
        return [y, mask]

    return [Variant("jit, random.bernoulli", run)]


def softmax_cross_entropy(x: Any, t: Any) -> list[Variant]:
    """Return the loss and its gradient."""

    def loss(x: Any, t: Any) -> Any:
        chosen = jnp.take_along_axis(jax.nn.log_softmax(x), t[:, None], axis=1)
        return -chosen.mean()

    def by_hand(x: Any, t: Any) -> Any:
        shifted = x - x.max(axis=1, keepdims=True)
        e = jnp.exp(shifted)
        total = e.sum(axis=1, keepdims=True)
        rows = jnp.arange(len(x))
        value = (jnp.log(total[:, 0]) - shifted[rows, t]).mean()
        onehot = t[:, None] == jnp.arange(x.shape[1])
        return value, (e / total - onehot) / len(x)

    return [
        *_waiting("jit(value_and_grad)", jax.value_and_grad(loss), x, t),
        *_waiting("jit", by_hand, x, t),
    ]


def training(problem: Problem) -> list[Variant]:
    """Return training by a scan over steps, with each optimizer there is."""
    variants = []
    for name in OPTIMIZERS:
        with suppress(NotMeasuredError):  # optax is not installed
            variants.append(_training(problem, name))
    return variants


def _training(problem: Problem, optimizer: str) -> Variant:
    spec, api = problem.spec, f"scan, {optimizer}"
    trained = Training(spec, spec.initial(), problem.x, problem.t, optimizer)
    if spec.batch < len(problem.x):
        return in_epochs(api, trained, problem)
    losses: list[Any] = [None]

    def run() -> list[Any]:
        losses[0] = trained.epoch(problem.lr, None, problem.epochs)
        return []

    return Variant(api, run, results_of(trained, losses))
