"""JAX on the CPU: an epoch is one compiled program, a scan over its steps."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .spec import BETAS, NORM_EPS, NORM_MOMENTUM, NotMeasuredError, Params, Spec, batches

with suppress(AttributeError):  # an option that older versions do not have
    # Small programs are faster without the queue: 15 instead of 23 us for (32, 100, 100).
    jax.config.update("jax_cpu_enable_async_dispatch", False)


def _forward(spec: Spec, params: Any, x: Any, running: Any) -> Any:
    """Return the scores, and the running statistics; `running` None means inference's."""
    moved = {}
    for i in range(1, spec.depth):
        x = x @ params[f"W{i}"] + params[f"b{i}"]
        if spec.batchnorm:
            mean = x.mean(0)
            centred = x - mean
            var = (centred * centred).mean(0)
            scale = params[f"gamma{i}"] * jax.lax.rsqrt(var + NORM_EPS)
            x = centred * scale + params[f"beta{i}"]
            old = running[f"mean{i}"], running[f"var{i}"]
            moved[f"mean{i}"], moved[f"var{i}"] = (
                NORM_MOMENTUM * a + (1 - NORM_MOMENTUM) * b
                for a, b in zip(old, (mean, var), strict=True)
            )
        x = jnp.tanh(x) if spec.activation == "tanh" else jnp.maximum(x, 0)
    return x @ params[f"W{spec.depth}"] + params[f"b{spec.depth}"], moved


def _loss(spec: Spec, params: Any, x: Any, t: Any, running: Any) -> Any:
    y, running = _forward(spec, params, x, running)
    if spec.loss == "cross_entropy":
        chosen = jnp.take_along_axis(jax.nn.log_softmax(y), t[:, None], axis=1)
        return -chosen.mean(), running
    return 0.5 * jnp.square(y - t).sum() / len(y), running


def _by_hand(spec: Spec) -> tuple[Any, Any]:
    """Return an optimizer as two functions: its first state, and its update."""
    tree = jax.tree.map
    if spec.rule == "SGD":
        return lambda params: (), lambda p, g, s, lr: (tree(lambda p, g: p - lr * g, p, g), s)

    def init(params: Any) -> Any:
        return tree(jnp.zeros_like, params), tree(jnp.zeros_like, params), jnp.zeros((), "int32")

    def update(params: Any, grads: Any, state: Any, lr: Any) -> Any:
        m, v, count = state
        count += 1
        m = tree(lambda m, g: m + (1 - BETAS[0]) * (g - m), m, grads)
        v = tree(lambda v, g: v + (1 - BETAS[1]) * (g * g - v), v, grads)
        number = count.astype(lr.dtype)
        # 1 - beta^n, without the difference, which has lost three digits at first.
        first, second = (-jnp.expm1(number * math.log(beta)) for beta in BETAS)
        root = jnp.sqrt(second)
        rate = lr * root / first
        moved = tree(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + spec.eps * root), params, m, v)
        return moved, (m, v, count)

    return init, update


def _with_optax(spec: Spec) -> tuple[Any, Any]:
    try:
        import optax
    except ModuleNotFoundError as error:
        raise NotMeasuredError("optax is not installed") from error
    rule = optax.scale_by_adam(*BETAS, eps=spec.eps) if spec.rule == "Adam" else optax.identity()

    def update(params: Any, grads: Any, state: Any, lr: Any) -> Any:
        updates, state = rule.update(grads, state)
        scaled = jax.tree.map(lambda u: -lr * u, updates)
        return optax.apply_updates(params, scaled), state

    return rule.init, update


OPTIMIZERS = {"by hand": _by_hand, "optax": _with_optax}


class Training:
    """A training that goes on with each call; the program reuses all buffers."""

    def __init__(
        self, spec: Spec, params: Params, x: Any, t: Any, optimizer: str = "by hand"
    ) -> None:
        init, update = OPTIMIZERS[optimizer](spec)
        self.spec = spec
        self.x, self.t = jnp.asarray(x), jnp.asarray(t)
        self.params = {name: jnp.array(p) for name, p in params.items()}
        self.state = init(self.params)
        hidden = zip(range(1, spec.depth), spec.widths[1:], strict=False)
        sizes = list(hidden) if spec.batchnorm else []
        self.running = {f"mean{i}": jnp.zeros(h, spec.dtype) for i, h in sizes}
        self.running |= {f"var{i}": jnp.ones(h, spec.dtype) for i, h in sizes}
        differentiate = jax.value_and_grad(partial(_loss, spec), has_aux=True)

        def take(carry: Any, x: Any, t: Any, lr: Any) -> Any:
            params, state, running = carry
            (loss, running), grads = differentiate(params, x, t, running)
            params, state = update(params, grads, state, lr)
            return (params, state, running), loss

        @partial(jax.jit, donate_argnums=0)
        def shuffled(carry: Any, x: Any, t: Any, rows: Any, lr: Any) -> Any:
            def step(carry: Any, rows: Any) -> Any:
                # Without a check of each index.
                x_batch, t_batch = (a.at[rows].get(mode="promise_in_bounds") for a in (x, t))
                return take(carry, x_batch, t_batch, lr)

            return jax.lax.scan(step, carry, rows)

        @partial(jax.jit, donate_argnums=0, static_argnums=3)
        def whole(carry: Any, x: Any, t: Any, epochs: int, lr: Any) -> Any:
            return jax.lax.scan(lambda c, _: take(c, x, t, lr), carry, None, epochs)

        self._shuffled, self._whole = shuffled, whole

    def epoch(self, lr: float, order: Any, epochs: int = 1) -> Any:
        """Train on the samples in this order, or so often on one batch of all.

        Returns the loss of each step.
        """
        carry = self.params, self.state, self.running
        rate = np.asarray(lr, self.spec.dtype)
        if order is None:
            carry, losses = self._whole(carry, self.x, self.t, epochs, rate)
        else:
            rows = jnp.asarray(batches(self.spec, order).astype(np.int32))
            carry, losses = self._shuffled(carry, self.x, self.t, rows, rate)
        self.params, self.state, self.running = carry
        return jax.block_until_ready(losses)

    def parameters(self) -> list[Any]:
        """Return the parameters to compare."""
        return [np.array(self.params[name]) for name in self.spec.names()]

    def accuracy(self, x: Any, t: Any) -> float:
        """Return the share of samples classified correctly, by a net without batch norm."""
        return float(_right(self.spec, self.params, x, t))


@partial(jax.jit, static_argnums=0)
def _right(spec: Spec, params: Any, x: Any, t: Any) -> Any:
    return (_forward(spec, params, x, None)[0].argmax(1) == t).mean()
