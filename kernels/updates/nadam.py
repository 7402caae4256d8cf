"""NAdam."""

import numpy as np

from fastnn.kernels.codegen.fused import multiply_add
from fastnn.kernels.plain.powers import integer_power, nadam_momentum
from fastnn.kernels.updates.rule import decayed, moved, rule, steps


@rule(states=2)
def nadam_(
    p, g, m, v, step, mu_product, lr, beta1, beta2, eps, momentum_decay, weight_decay
):  # fmt: skip
    """Adam's step by the average that the gradient ahead would give."""
    real = p.dtype.type
    old1, new1, old2, new2 = real(beta1), real(1 - beta1), real(beta2), real(1 - beta2)
    e, decay = real(eps), real(weight_decay)
    root = real(1 / np.sqrt(1 - integer_power(beta2, step)))
    now = nadam_momentum(beta1, step, momentum_decay)
    ahead = nadam_momentum(beta1, step + 1, momentum_decay)
    product = mu_product * now
    of_g, of_m = real(lr * (1 - now) / (1 - product)), real(lr * ahead / (1 - product * ahead))
    for i in range(p.size):
        d = decayed(g[i], p[i], decay)
        m[i] = moved(m[i], old1, d, new1, decay)
        v[i] = moved(v[i], old2, d, new2 * d, decay)
        p[i] -= multiply_add(of_g, d, of_m * m[i]) / (root * np.sqrt(v[i]) + e)


PARTS = steps("nadam_")
