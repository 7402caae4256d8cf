"""Stochastic gradient descent."""

from fastnn.kernels.updates.rule import decayed, rule, steps


@rule(states=0)
def sgd_(p, g, lr, weight_decay):
    """Step down the gradient."""
    real = p.dtype.type
    rate, decay = real(lr), real(weight_decay)
    for i in range(p.size):
        p[i] -= rate * decayed(g[i], p[i], decay)


PARTS = steps("sgd_")
