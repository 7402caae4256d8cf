"""Losses of a batch, with the gradient in the same pass over the rows.

Each kernel leaves one loss per row; the caller takes the mean. `dx` is the gradient of that
mean.
"""

from fastnn.kernels.activations import exp_shifted
from fastnn.kernels.compile import row_sum
from fastnn.kernels.driver import kernel
from fastnn.kernels.elementary import log

__all__ = ["mean_squared_error", "softmax_cross_entropy", "softmax_cross_entropy_dense"]


@kernel("x.shape[0]")
def softmax_cross_entropy(x, t, losses, dx, start, stop):
    """Cross-entropy of softmax(x) against integer labels t."""
    one = x.dtype.type(1)
    n = x.dtype.type(x.shape[0])
    for i in range(start, stop):
        row, d, label = x[i], dx[i], t[i]
        largest, total = exp_shifted(row, d)
        losses[i] = log(total) - (row[label] - largest)
        scale = one / (total * n)
        for j in range(d.size):
            d[j] *= scale
        d[label] -= one / n


@kernel("x.shape[0]")
def softmax_cross_entropy_dense(x, t, losses, dx, start, stop):
    """Cross-entropy of softmax(x) against target distributions t, shaped like x."""
    zero = x.dtype.type(0)
    n = x.dtype.type(x.shape[0])
    for i in range(start, stop):
        row, target, d = x[i], t[i], dx[i]
        largest, total = exp_shifted(row, d)
        log_total = log(total)
        loss, weight = zero, zero
        for j in range(d.size):
            # 0 log 0 = 0: a class that is ruled out (x = -inf) may have the target 0.
            surprise = log_total - (row[j] - largest)
            loss += zero if target[j] == zero else target[j] * surprise
            weight += target[j]
        losses[i] = loss
        scale = weight / total
        for j in range(d.size):
            d[j] = (d[j] * scale - target[j]) / n


@kernel("x.shape[0]")
def mean_squared_error(x, t, losses, dx, start, stop):
    """Half the squared distance of each row of x from t."""
    half, n = x.dtype.type(0.5), x.dtype.type(x.shape[0])
    for i in range(start, stop):
        row, target, d = x[i], t[i], dx[i]
        for j in range(d.size):
            d[j] = row[j] - target[j]
        losses[i] = half * _sum_of_squares(d)
        for j in range(d.size):
            d[j] /= n


@row_sum
def _sum_of_squares(row):
    total = row.dtype.type(0)
    for j in range(row.size):
        total += row[j] * row[j]
    return total
