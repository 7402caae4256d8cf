"""AdaGrad."""

import numpy as np

from fastnn.kernels.updates.rule import decayed, rule, steps


@rule(states=1)
def adagrad_(p, g, h, lr, eps, weight_decay):
    """Divide the rate by the root of the sum of all squared gradients."""
    real = p.dtype.type
    rate, e, decay = real(lr), real(eps), real(weight_decay)
    for i in range(p.size):
        d = decayed(g[i], p[i], decay)
        h[i] += d * d
        p[i] -= rate * d / (np.sqrt(h[i]) + e)


PARTS = steps("adagrad_")
