"""Adam and AdamW."""

import numpy as np

from fastnn.kernels.plain.powers import integer_power
from fastnn.kernels.updates.rule import decayed, moved, rule, steps


@rule(states=2)
def adam_(p, g, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled, explicit):
    """Divide a moving average of gradients by the root of one of their squares."""
    real = p.dtype.type
    old1, new1, old2, new2 = real(beta1), real(1 - beta1), real(beta2), real(1 - beta2)
    e = real(eps)
    correction1, correction2 = 1 - integer_power(beta1, step), 1 - integer_power(beta2, step)
    # Both placements of eps are rate m / (root sqrt(v) + eps), the divisions by the
    # corrections taken out of the loop.
    if explicit:
        rate, root = real(lr / correction1), real(1 / np.sqrt(correction2))
    else:
        rate, root = real(lr * np.sqrt(correction2) / correction1), real(1)
    keep = real(1 - lr * weight_decay) if decoupled else real(1)
    decay = real(0) if decoupled else real(weight_decay)
    for i in range(p.size):
        d = decayed(g[i], p[i], decay)
        m[i] = moved(m[i], old1, d, new1, decay)
        v[i] = moved(v[i], old2, d, new2 * d, decay)
        p[i] = p[i] * keep - rate * m[i] / (root * np.sqrt(v[i]) + e)


PARTS = steps("adam_")
