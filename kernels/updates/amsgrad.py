"""AMSGrad."""

import numpy as np

from fastnn.kernels.plain.powers import integer_power
from fastnn.kernels.updates.rule import decayed, moved, rule, steps


@rule(states=3)
def amsgrad_(p, g, m, v, v_max, step, lr, beta1, beta2, eps, weight_decay):
    """Adam's step with the largest average of squares that there has been."""
    real = p.dtype.type
    old1, new1, old2, new2 = real(beta1), real(1 - beta1), real(beta2), real(1 - beta2)
    e, decay = real(eps), real(weight_decay)
    rate = real(lr / (1 - integer_power(beta1, step)))
    root = real(1 / np.sqrt(1 - integer_power(beta2, step)))
    for i in range(p.size):
        d = decayed(g[i], p[i], decay)
        m[i] = moved(m[i], old1, d, new1, decay)
        v[i] = moved(v[i], old2, d, new2 * d, decay)
        # Of a number and NaN, NaN.
        v_max[i] = v_max[i] if v_max[i] > v[i] or v_max[i] != v_max[i] else v[i]
        p[i] -= rate * m[i] / (root * np.sqrt(v_max[i]) + e)


PARTS = steps("amsgrad_")
