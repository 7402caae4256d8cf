"""Momentum, and Nesterov's form of it."""

from fastnn.kernels.codegen.fused import multiply_add
from fastnn.kernels.updates.rule import decayed, rule, steps


@rule(states=1)
def momentum_(p, g, v, lr, momentum, weight_decay):
    """Step by a velocity that decays by `momentum`."""
    real = p.dtype.type
    rate, mu, decay = real(lr), real(momentum), real(weight_decay)
    for i in range(p.size):
        v[i] = multiply_add(mu, v[i], -rate * decayed(g[i], p[i], decay))
        p[i] += v[i]


@rule(states=1)
def nesterov_(p, g, v, lr, momentum, weight_decay):
    """Step by the velocity that the gradient ahead would give."""
    real = p.dtype.type
    rate, mu, decay = real(lr), real(momentum), real(weight_decay)
    for i in range(p.size):
        pull = rate * decayed(g[i], p[i], decay)
        v[i] = multiply_add(mu, v[i], -pull)
        p[i] += multiply_add(mu, v[i], -pull)


PARTS = steps("momentum_", "nesterov_")
