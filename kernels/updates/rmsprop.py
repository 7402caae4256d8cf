"""RMSProp."""

import numpy as np

from fastnn.kernels.codegen.fused import multiply_add
from fastnn.kernels.updates.rule import decayed, rule, steps


@rule(states=1)
def rmsprop_(p, g, h, lr, decay_rate, eps, weight_decay):
    """Divide the rate by the root of a moving average of squared gradients."""
    real = p.dtype.type
    rate, e, decay = real(lr), real(eps), real(weight_decay)
    old, new = real(decay_rate), real(1 - decay_rate)
    for i in range(p.size):
        d = decayed(g[i], p[i], decay)
        h[i] = multiply_add(old, h[i], new * d * d)
        p[i] -= rate * d / (np.sqrt(h[i]) + e)


PARTS = steps("rmsprop_")
