"""Adamax."""

from fastnn.kernels.plain.powers import integer_power
from fastnn.kernels.updates.rule import decayed, moved, rule, steps


@rule(states=2)
def adamax_(p, g, m, u, step, lr, beta1, beta2, eps, weight_decay):
    """Divide a moving average of gradients by a maximum of their sizes that decays."""
    real = p.dtype.type
    old1, new1, old2 = real(beta1), real(1 - beta1), real(beta2)
    e, decay = real(eps), real(weight_decay)
    rate = real(lr / (1 - integer_power(beta1, step)))
    for i in range(p.size):
        d = decayed(g[i], p[i], decay)
        m[i] = moved(m[i], old1, d, new1, decay)
        before, size = old2 * u[i], abs(d) + e
        # Of a number and NaN, NaN.
        u[i] = before if before > size or before != before else size
        p[i] -= rate * m[i] / u[i]


PARTS = steps("adamax_")
