"""Parameter updates, in place: one pass over parameters, gradients and states.

In place of its twin's arrays a kernel takes ``table, like`` from :func:`tables.tabulate`, and
so updates any number of parameters. The rules themselves take one: `p`, its gradient, its
states.
"""

import numpy as np

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.threading.driver import LINE, kernel
from fastnn.kernels.updates.tables import RANGE, parts

__all__ = ["adagrad_", "adam_", "momentum_", "nesterov_", "rmsprop_", "sgd_"]


@serial
def _decayed(g, p, weight_decay):
    """Gradient of the loss with the penalty weight_decay / 2 p^2 added."""
    # The test keeps an infinite parameter from turning 0 * inf into NaN; it does not
    # depend on the element and leaves the loop.
    return g + weight_decay * p if weight_decay != 0 else g


@serial
def sgd_step(p, g, lr, weight_decay):
    """Step down the gradient."""
    real = p.dtype.type
    rate, decay = real(lr), real(weight_decay)
    for i in range(p.size):
        p[i] -= rate * _decayed(g[i], p[i], decay)


@serial
def momentum_step(p, g, v, lr, momentum, weight_decay):
    """Step by a velocity that decays by `momentum`."""
    real = p.dtype.type
    rate, mu, decay = real(lr), real(momentum), real(weight_decay)
    for i in range(p.size):
        v[i] = mu * v[i] - rate * _decayed(g[i], p[i], decay)
        p[i] += v[i]


@serial
def nesterov_step(p, g, v, lr, momentum, weight_decay):
    """Step by the velocity that the gradient ahead would give."""
    real = p.dtype.type
    rate, mu, decay = real(lr), real(momentum), real(weight_decay)
    for i in range(p.size):
        pull = rate * _decayed(g[i], p[i], decay)
        v[i] = mu * v[i] - pull
        p[i] += mu * v[i] - pull


@serial
def adagrad_step(p, g, h, lr, eps, weight_decay):
    """Divide the rate by the root of the sum of all squared gradients."""
    real = p.dtype.type
    rate, e, decay = real(lr), real(eps), real(weight_decay)
    for i in range(p.size):
        d = _decayed(g[i], p[i], decay)
        h[i] += d * d
        p[i] -= rate * d / (np.sqrt(h[i]) + e)


@serial
def rmsprop_step(p, g, h, lr, decay_rate, eps, weight_decay):
    """Divide the rate by the root of a moving average of squared gradients."""
    real = p.dtype.type
    rate, e, decay = real(lr), real(eps), real(weight_decay)
    old, new = real(decay_rate), real(1 - decay_rate)
    for i in range(p.size):
        d = _decayed(g[i], p[i], decay)
        h[i] = old * h[i] + new * d * d
        p[i] -= rate * d / (np.sqrt(h[i]) + e)


@serial
def adam_step(p, g, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled, explicit):
    """Divide a moving average of gradients by the root of one of their squares."""
    real = p.dtype.type
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
    for i in range(p.size):
        d = _decayed(g[i], p[i], decay)
        m[i] += new1 * (d - m[i])
        v[i] += new2 * (d * d - v[i])
        p[i] = p[i] * keep - rate * m[i] / (root * np.sqrt(v[i]) + e)


@kernel(RANGE, LINE)
def sgd_(table, like, lr, weight_decay, start, stop):
    """Update each parameter of a table by :func:`sgd_step`."""
    for row in range(len(table)):
        p, g, _, _ = parts(table, row, start, stop, like)
        sgd_step(p, g, lr, weight_decay)


@kernel(RANGE, LINE)
def momentum_(table, like, lr, momentum, weight_decay, start, stop):
    """Update each parameter of a table by :func:`momentum_step`."""
    for row in range(len(table)):
        p, g, state, _ = parts(table, row, start, stop, like)
        momentum_step(p, g, state, lr, momentum, weight_decay)


@kernel(RANGE, LINE)
def nesterov_(table, like, lr, momentum, weight_decay, start, stop):
    """Update each parameter of a table by :func:`nesterov_step`."""
    for row in range(len(table)):
        p, g, state, _ = parts(table, row, start, stop, like)
        nesterov_step(p, g, state, lr, momentum, weight_decay)


@kernel(RANGE, LINE)
def adagrad_(table, like, lr, eps, weight_decay, start, stop):
    """Update each parameter of a table by :func:`adagrad_step`."""
    for row in range(len(table)):
        p, g, state, _ = parts(table, row, start, stop, like)
        adagrad_step(p, g, state, lr, eps, weight_decay)


@kernel(RANGE, LINE)
def rmsprop_(table, like, lr, decay_rate, eps, weight_decay, start, stop):
    """Update each parameter of a table by :func:`rmsprop_step`."""
    for row in range(len(table)):
        p, g, state, _ = parts(table, row, start, stop, like)
        rmsprop_step(p, g, state, lr, decay_rate, eps, weight_decay)


@kernel(RANGE, LINE)
def adam_(table, like, step, lr, beta1, beta2, eps, weight_decay, decoupled, explicit, start, stop):
    """Update each parameter of a table by :func:`adam_step`."""
    for row in range(len(table)):
        p, g, m, v = parts(table, row, start, stop, like)
        adam_step(p, g, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled, explicit)
