"""Adamax."""

from fastnn.kernels.updates.rule import decayed, rule


@rule(states=2)
def adamax_(p, g, m, u, step, lr, beta1, beta2, eps, weight_decay):
    """Divide a moving average of gradients by a maximum of their sizes that decays."""
    real = p.dtype.type
    new1, old2, e, decay = real(1 - beta1), real(beta2), real(eps), real(weight_decay)
    rate = real(lr / (1 - beta1**step))
    for i in range(p.size):
        d = decayed(g[i], p[i], decay)
        m[i] += new1 * (d - m[i])
        before, size = old2 * u[i], abs(d) + e
        # Of a number and NaN, NaN.
        u[i] = before if before > size or before != before else size
        p[i] -= rate * m[i] / u[i]
