"""``cs231n.optim``: update rules.

Each takes a parameter, its gradient and a dict of settings and state, and returns the next value
of the parameter and the dict, which holds defaults for what was not given. :func:`sgd` changes
the parameter in place and returns it; the others return a new array, and put new arrays into the
dict.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.dropin.cs231n._fast import fast, plain

__all__ = ["adam", "np", "rmsprop", "sgd", "sgd_momentum"]

Config = dict[str, Any]

_MANY = 1 << 13  # elements; of fewer, the formula of gradient descent takes no longer than a call


def _can(w: Any, dw: Any, lr: Any, shares: tuple[Any, ...], eps: Any, *state: Any) -> bool:
    """Say whether a kernel can do an update: arrays of one kind, numbers in their ranges."""
    return (
        fast(w, dw, *state)
        and all([a.dtype == w.dtype and a.shape == w.shape for a in (dw, *state)])
        and plain(w, lr, *shares, eps)
        and 0 < lr < math.inf
        and 0 <= eps < math.inf
        and all([0 <= share < 1 for share in shares])
    )


def _next(
    rule: Callable[..., None], w: Any, dw: Any, state: tuple[Any, ...], *settings: Any, **more: Any
) -> tuple[Any, ...]:
    """Return the next parameter and state as new arrays."""
    new = [a.copy() for a in (w, *state)]
    rule(new[0], dw, *new[1:], *settings, **more)
    return tuple(new)


def _begin(config: Config, w: Any, *state: str) -> None:
    """Put zeros in the place of state that there is not yet."""
    for name in state:
        if name not in config:
            config[name] = np.zeros_like(w)


def sgd(w: Any, dw: Any, config: Config | None = None) -> tuple[Any, Config]:
    """Stochastic gradient descent, in place: w -= learning_rate dw (0.01)."""
    if config is None:
        config = {}
    config.setdefault("learning_rate", 1e-2)
    lr = config["learning_rate"]
    is_worth = type(w) is np.ndarray and w.size >= _MANY
    if is_worth and _can(w, dw, lr, (), 0) and not np.may_share_memory(w, dw):
        ops.sgd_(w, dw, lr)
    else:
        w -= lr * dw
    return w, config


def sgd_momentum(w: Any, dw: Any, config: Config | None = None) -> tuple[Any, Config]:
    """Momentum: velocity = momentum (0.9) velocity - learning_rate (0.01) dw, added to w."""
    if config is None:
        config = {}
    config.setdefault("learning_rate", 1e-2)
    config.setdefault("momentum", 0.9)
    lr, momentum = config["learning_rate"], config["momentum"]
    _begin(config, w, "velocity")
    v = config["velocity"]
    if _can(w, dw, lr, (momentum,), 0, v):
        next_w, v = _next(ops.momentum_, w, dw, (v,), lr, momentum)
    else:
        v = momentum * v - lr * dw
        next_w = w + v
    config["velocity"] = v
    return next_w, config


def rmsprop(w: Any, dw: Any, config: Config | None = None) -> tuple[Any, Config]:
    """RMSProp: w - learning_rate (0.01) dw / (sqrt(cache) + epsilon (1e-8)).

    The cache is the moving average of dw^2, with decay_rate (0.99).
    """
    if config is None:
        config = {}
    config.setdefault("learning_rate", 1e-2)
    config.setdefault("decay_rate", 0.99)
    config.setdefault("epsilon", 1e-8)
    _begin(config, w, "cache")
    lr, rate, eps = config["learning_rate"], config["decay_rate"], config["epsilon"]
    cache = config["cache"]
    if _can(w, dw, lr, (rate,), eps, cache):
        next_w, cache = _next(ops.rmsprop_, w, dw, (cache,), lr, rate, eps)
    else:
        cache = rate * cache + (1 - rate) * dw**2
        next_w = w - lr * dw / (np.sqrt(cache) + eps)
    config["cache"] = cache
    return next_w, config


def adam(w: Any, dw: Any, config: Config | None = None) -> tuple[Any, Config]:
    """Adam: w - learning_rate (0.001) m' / (sqrt(v') + epsilon (1e-8)).

    m and v are the moving averages of dw and dw^2, with beta1 (0.9) and beta2 (0.999), and t
    the number of updates; m' = m / (1 - beta1^t), and v' likewise.
    """
    if config is None:
        config = {}
    config.setdefault("learning_rate", 1e-3)
    config.setdefault("beta1", 0.9)
    config.setdefault("beta2", 0.999)
    config.setdefault("epsilon", 1e-8)
    _begin(config, w, "m", "v")
    config.setdefault("t", 0)
    lr, eps = config["learning_rate"], config["epsilon"]
    beta1, beta2 = config["beta1"], config["beta2"]
    m, v, t = config["m"], config["v"], config["t"] + 1
    if _can(w, dw, lr, (beta1, beta2), eps, m, v) and type(t) is int and t > 0:
        next_w, m, v = _next(
            ops.adam_, w, dw, (m, v), t, lr, beta1, beta2, eps, bias_correction="explicit"
        )
    else:
        m = beta1 * m + (1 - beta1) * dw
        v = beta2 * v + (1 - beta2) * dw**2
        next_w = w - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    config["m"], config["v"], config["t"] = m, v, t
    return next_w, config
