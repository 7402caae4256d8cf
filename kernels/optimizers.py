"""Parameter updates, in place: one pass over parameters, gradients and states.

In place of its twin's arrays a kernel takes ``table, like`` from :func:`tables.tabulate`, and
so updates any number of parameters.
"""

import numpy as np

from fastnn.kernels.compile import serial
from fastnn.kernels.driver import LINE, kernel
from fastnn.kernels.tables import RANGE, parts

__all__ = ["adagrad_", "adam_", "momentum_", "nesterov_", "rmsprop_", "sgd_"]


@serial
def _decayed(g, p, weight_decay):
    """Gradient of the loss with the penalty weight_decay / 2 p^2 added."""
    # The test keeps an infinite parameter from turning 0 * inf into NaN; it does not
    # depend on the element and leaves the loop.
    return g + weight_decay * p if weight_decay != 0 else g


@kernel(RANGE, LINE)
def sgd_(table, like, lr, weight_decay, start, stop):
    """Step down the gradient."""
    real = like.dtype.type
    rate, decay = real(lr), real(weight_decay)
    for row in range(len(table)):
        p, g, _, _ = parts(table, row, start, stop, like)
        for i in range(p.size):
            p[i] -= rate * _decayed(g[i], p[i], decay)


@kernel(RANGE, LINE)
def momentum_(table, like, lr, momentum, weight_decay, start, stop):
    """Step by a velocity that decays by `momentum`."""
    real = like.dtype.type
    rate, mu, decay = real(lr), real(momentum), real(weight_decay)
    for row in range(len(table)):
        p, g, v, _ = parts(table, row, start, stop, like)
        for i in range(p.size):
            v[i] = mu * v[i] - rate * _decayed(g[i], p[i], decay)
            p[i] += v[i]


@kernel(RANGE, LINE)
def nesterov_(table, like, lr, momentum, weight_decay, start, stop):
    """Step by the velocity that the gradient ahead would give."""
    real = like.dtype.type
    rate, mu, decay = real(lr), real(momentum), real(weight_decay)
    for row in range(len(table)):
        p, g, v, _ = parts(table, row, start, stop, like)
        for i in range(p.size):
            pull = rate * _decayed(g[i], p[i], decay)
            v[i] = mu * v[i] - pull
            p[i] += mu * v[i] - pull


@kernel(RANGE, LINE)
def adagrad_(table, like, lr, eps, weight_decay, start, stop):
    """Divide the rate by the root of the sum of all squared gradients."""
    real = like.dtype.type
    rate, e, decay = real(lr), real(eps), real(weight_decay)
    for row in range(len(table)):
        p, g, h, _ = parts(table, row, start, stop, like)
        for i in range(p.size):
            d = _decayed(g[i], p[i], decay)
            h[i] += d * d
            p[i] -= rate * d / (np.sqrt(h[i]) + e)


@kernel(RANGE, LINE)
def rmsprop_(table, like, lr, decay_rate, eps, weight_decay, start, stop):
    """Divide the rate by the root of a moving average of squared gradients."""
    real = like.dtype.type
    rate, e, decay = real(lr), real(eps), real(weight_decay)
    old, new = real(decay_rate), real(1 - decay_rate)
    for row in range(len(table)):
        p, g, h, _ = parts(table, row, start, stop, like)
        for i in range(p.size):
            d = _decayed(g[i], p[i], decay)
            h[i] = old * h[i] + new * d * d
            p[i] -= rate * d / (np.sqrt(h[i]) + e)


@kernel(RANGE, LINE)
def adam_(
    table, like, step, lr, beta1, beta2, eps, weight_decay, decoupled, explicit, start, stop
):  # fmt: skip
    """Divide a moving average of gradients by the root of one of their squares."""
    real = like.dtype.type
    new1, new2, e = real(1 - beta1), real(1 - beta2), real(eps)
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    # Both placements of eps are rate m / (root sqrt(v) + eps), the divisions by the
    # corrections taken out of the loop.
    if explicit:
        rate, root = real(lr / correction1), real(1 / np.sqrt(correction2))
    else:
        rate, root = real(lr * np.sqrt(correction2) / correction1), real(1)
    keep = real(1 - lr * weight_decay) if decoupled else real(1)
    decay = real(0) if decoupled else real(weight_decay)
    for row in range(len(table)):
        p, g, m, v = parts(table, row, start, stop, like)
        for i in range(p.size):
            d = _decayed(g[i], p[i], decay)
            m[i] += new1 * (d - m[i])
            v[i] += new2 * (d * d - v[i])
            p[i] = p[i] * keep - rate * m[i] / (root * np.sqrt(v[i]) + e)
