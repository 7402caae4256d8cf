"""Lion."""

from fastnn.kernels.codegen.fused import multiply_add
from fastnn.kernels.updates.rule import rule, steps


@rule(states=1)
def lion_(p, g, m, lr, beta1, beta2, weight_decay):
    """Step by the sign of the gradient's average with its moving average."""
    real = p.dtype.type
    old1, new1 = real(beta1), real(1 - beta1)
    old2, new2 = real(beta2), real(1 - beta2)
    rate, keep = real(lr), real(1 - lr * weight_decay)
    for i in range(p.size):
        c = multiply_add(old1, m[i], new1 * g[i])
        m[i] = multiply_add(old2, m[i], new2 * g[i])
        sign = real(1) if c > 0 else (real(-1) if c < 0 else c)  # 0 and NaN as they are
        p[i] = multiply_add(keep, p[i], -rate * sign)


PARTS = steps("lion_")
