"""Parameter updates, in place: one pass over parameter, gradient and state."""

import numpy as np

from fastnn.kernels.compile import serial
from fastnn.kernels.driver import LINE, kernel

__all__ = ["adagrad_", "adam_", "momentum_", "nesterov_", "rmsprop_", "sgd_"]


@serial
def _decayed(g, p, weight_decay):
    """Gradient of the loss with the penalty weight_decay / 2 p^2 added."""
    # The test keeps an infinite parameter from turning 0 * inf into NaN; it does not
    # depend on the element and leaves the loop.
    return g + weight_decay * p if weight_decay != 0 else g


@kernel("p.size", LINE)
def sgd_(p, g, lr, weight_decay, start, stop):
    """Step down the gradient."""
    p, g = p[start:stop], g[start:stop]
    rate, decay = p.dtype.type(lr), p.dtype.type(weight_decay)
    for i in range(p.size):
        p[i] -= rate * _decayed(g[i], p[i], decay)


@kernel("p.size", LINE)
def momentum_(p, g, v, lr, momentum, weight_decay, start, stop):
    """Step by a velocity that decays by `momentum`."""
    p, g, v = p[start:stop], g[start:stop], v[start:stop]
    rate, mu, decay = p.dtype.type(lr), p.dtype.type(momentum), p.dtype.type(weight_decay)
    for i in range(p.size):
        v[i] = mu * v[i] - rate * _decayed(g[i], p[i], decay)
        p[i] += v[i]


@kernel("p.size", LINE)
def nesterov_(p, g, v, lr, momentum, weight_decay, start, stop):
    """Step by the velocity that the gradient ahead would give."""
    p, g, v = p[start:stop], g[start:stop], v[start:stop]
    rate, mu, decay = p.dtype.type(lr), p.dtype.type(momentum), p.dtype.type(weight_decay)
    for i in range(p.size):
        pull = rate * _decayed(g[i], p[i], decay)
        v[i] = mu * v[i] - pull
        p[i] += mu * v[i] - pull


@kernel("p.size", LINE)
def adagrad_(p, g, h, lr, eps, weight_decay, start, stop):
    """Divide the rate by the root of the sum of all squared gradients."""
    p, g, h = p[start:stop], g[start:stop], h[start:stop]
    rate, e, decay = p.dtype.type(lr), p.dtype.type(eps), p.dtype.type(weight_decay)
    for i in range(p.size):
        d = _decayed(g[i], p[i], decay)
        h[i] += d * d
        p[i] -= rate * d / (np.sqrt(h[i]) + e)


@kernel("p.size", LINE)
def rmsprop_(p, g, h, lr, decay_rate, eps, weight_decay, start, stop):
    """Divide the rate by the root of a moving average of squared gradients."""
    real = p.dtype.type
    p, g, h = p[start:stop], g[start:stop], h[start:stop]
    rate, e, decay = real(lr), real(eps), real(weight_decay)
    old, new = real(decay_rate), real(1 - decay_rate)
    for i in range(p.size):
        d = _decayed(g[i], p[i], decay)
        h[i] = old * h[i] + new * d * d
        p[i] -= rate * d / (np.sqrt(h[i]) + e)


@kernel("p.size", LINE)
def adam_(p, g, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled, explicit, start, stop):
    """Divide a moving average of gradients by the root of one of their squares."""
    real = p.dtype.type
    p, g, m, v = p[start:stop], g[start:stop], m[start:stop], v[start:stop]
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
