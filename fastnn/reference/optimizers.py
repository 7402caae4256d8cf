"""Parameter updates, in place. g is the gradient; weight_decay adds weight_decay p to it."""

from __future__ import annotations

import math

import numpy as np

from fastnn._utils.types import Array


def _decayed(g: Array, p: Array, weight_decay: float) -> Array:
    return g + weight_decay * p if weight_decay else g


def _follow(average: Array, decay: float, g: Array) -> None:
    average *= decay
    average += (1 - decay) * g


def _follow_square(average: Array, decay: float, g: Array) -> None:
    # In this order: g^2 may be infinite where its share is not. And never g^2 less the average,
    # as infinity less infinity is NaN for good.
    average *= decay
    average += (1 - decay) * g * g


def sgd_(p: Array, g: Array, lr: float, weight_decay: float) -> None:
    """p -= lr g."""
    p -= lr * _decayed(g, p, weight_decay)


def momentum_(
    p: Array, g: Array, v: Array, lr: float, momentum: float, weight_decay: float
) -> None:
    """v = momentum v - lr g; p += v (Polyak, 1964)."""
    v *= momentum
    v -= lr * _decayed(g, p, weight_decay)
    p += v


def nesterov_(
    p: Array, g: Array, v: Array, lr: float, momentum: float, weight_decay: float
) -> None:
    """v = momentum v - lr g; p += momentum v - lr g (Sutskever et al., 2013; CS231n)."""
    pull = lr * _decayed(g, p, weight_decay)
    v *= momentum
    v -= pull
    p += momentum * v - pull


def adagrad_(p: Array, g: Array, h: Array, lr: float, eps: float, weight_decay: float) -> None:
    """h += g^2; p -= lr g / (sqrt(h) + eps) (Duchi, Hazan and Singer, 2011)."""
    g = _decayed(g, p, weight_decay)
    h += g * g
    p -= lr * g / (np.sqrt(h) + eps)


def rmsprop_(
    p: Array, g: Array, h: Array, lr: float, decay_rate: float, eps: float, weight_decay: float
) -> None:
    """h = decay_rate h + (1 - decay_rate) g^2; p -= lr g / (sqrt(h) + eps) (Hinton, 2012)."""
    g = _decayed(g, p, weight_decay)
    _follow_square(h, decay_rate, g)
    p -= lr * g / (np.sqrt(h) + eps)


def adam_(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    explicit: bool,
) -> None:
    """Adam (Kingma and Ba, 2015); decoupled: AdamW (Loshchilov and Hutter, 2019).

    m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; with c1 = 1 - beta1^step and
    c2 = 1 - beta2^step, p -= lr (m / c1) / (sqrt(v / c2) + eps) if explicit (algorithm 1 of
    the paper), else p -= (lr sqrt(c2) / c1) m / (sqrt(v) + eps) (the end of its section 2).
    """
    if decoupled:
        p *= 1 - lr * weight_decay
    else:
        g = _decayed(g, p, weight_decay)
    _follow(m, beta1, g)
    _follow_square(v, beta2, g)
    c1, c2 = 1 - beta1**step, 1 - beta2**step
    if explicit:
        p -= lr * (m / c1) / (np.sqrt(v / c2) + eps)
    else:
        p -= lr * math.sqrt(c2) / c1 * m / (np.sqrt(v) + eps)


def nadam_(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    step: int,
    mu_product: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    momentum_decay: float,
    weight_decay: float,
) -> None:
    """NAdam (Dozat, 2016), with PyTorch's eps.

    m and v as Adam's; mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2), P_t = mu_product mu_t;
    p -= lr ((1 - mu_t) / (1 - P_t) g + mu_t+1 / (1 - P_t mu_t+1) m) / (sqrt(v / c2) + eps).
    """
    g = _decayed(g, p, weight_decay)
    _follow(m, beta1, g)
    _follow_square(v, beta2, g)
    now, ahead = (beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay)) for t in (step, step + 1))
    product = mu_product * now
    of_g, of_m = (1 - now) / (1 - product), ahead / (1 - product * ahead)
    p -= lr * (of_g * g + of_m * m) / (np.sqrt(v / (1 - beta2**step)) + eps)


def adamax_(
    p: Array,
    g: Array,
    m: Array,
    u: Array,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> None:
    """Adamax (Kingma and Ba, 2015, algorithm 2), with PyTorch's eps.

    m = beta1 m + (1 - beta1) g; u = max(beta2 u, |g| + eps); p -= lr / (1 - beta1^step) m / u.
    """
    g = _decayed(g, p, weight_decay)
    _follow(m, beta1, g)
    u[...] = np.maximum(beta2 * u, np.abs(g) + eps)
    p -= lr / (1 - beta1**step) * m / u


def amsgrad_(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    v_max: Array,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> None:
    """AMSGrad (Reddi, Kale and Kumar, 2018), with PyTorch's corrections and eps.

    m and v as Adam's; v_max = max(v_max, v); p -= lr (m / c1) / (sqrt(v_max / c2) + eps).
    """
    g = _decayed(g, p, weight_decay)
    _follow(m, beta1, g)
    _follow_square(v, beta2, g)
    v_max[...] = np.maximum(v_max, v)
    c1, c2 = 1 - beta1**step, 1 - beta2**step
    p -= lr * (m / c1) / (np.sqrt(v_max / c2) + eps)


def lion_(
    p: Array, g: Array, m: Array, lr: float, beta1: float, beta2: float, weight_decay: float
) -> None:
    """Lion (Chen et al., 2023, algorithm 2).

    p -= lr (sign(beta1 m + (1 - beta1) g) + weight_decay p); m = beta2 m + (1 - beta2) g.
    """
    p *= 1 - lr * weight_decay
    p -= lr * np.sign(beta1 * m + (1 - beta1) * g)
    _follow(m, beta2, g)
