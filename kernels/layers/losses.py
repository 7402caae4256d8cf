"""Losses of a batch, with the gradient in the same pass over the rows.

Each kernel leaves one loss per row; the caller takes the mean. `dx` is the gradient of that
mean.
"""

from fastnn.kernels.codegen.compile import row_sum, serial
from fastnn.kernels.codegen.elementary import log, maximum
from fastnn.kernels.layers.activations import exp_each, exp_shifted, sum_of
from fastnn.kernels.threading.driver import kernel
from fastnn.kernels.tuning import by_itemsize

__all__ = ["mean_squared_error", "softmax_cross_entropy", "softmax_cross_entropy_dense"]


# Elements that the rows of a block have together. Rows are short, and a loop over one of them would
# hardly be in vectors.
_block = by_itemsize("loss_block")


@serial
def cross_entropy_rows(x, labels, losses, d, n):
    """Write losses and gradients for the scores of some of n samples."""
    one = x.dtype.type(1)
    for i in range(x.shape[0]):
        row, shifted = x[i], d[i]
        largest = maximum(row)
        for j in range(row.size):
            shifted[j] = row[j] - largest
        losses[i] = -shifted[labels[i]]
    exp_each(d.reshape(d.size))
    for i in range(x.shape[0]):
        row = d[i]
        total = sum_of(row)
        losses[i] += log(total)
        scale = one / (total * n)
        for j in range(row.size):
            row[j] *= scale
        row[labels[i]] -= one / n


@serial
def dense_cross_entropy_row(x, target, d, n):
    """Write the gradient for scores x, one of n samples, to d; return the loss."""
    zero = x.dtype.type(0)
    largest, total = exp_shifted(x, d)
    log_total = log(total)
    loss, weight = zero, zero
    for j in range(d.size):
        # 0 log 0 = 0: a class that is ruled out (x = -inf) may have the target 0.
        surprise = log_total - (x[j] - largest)
        loss += zero if target[j] == zero else target[j] * surprise
        weight += target[j]
    scale = weight / total
    for j in range(d.size):
        d[j] = (d[j] * scale - target[j]) / n
    return loss


@row_sum
def sum_of_squares(row):
    """Sum of the squares of a row."""
    total = row.dtype.type(0)
    for j in range(row.size):
        total += row[j] * row[j]
    return total


@serial
def largest_of(row):
    """Return where the largest number stands: the first of equals, as np.argmax does."""
    best = 0
    for j in range(1, row.size):
        if row[j] > row[best] or (row[j] != row[j] and row[best] == row[best]):
            best = j
    return best


@serial
def is_right(x, label):
    """Say whether a label is where the largest score stands (:func:`largest_of`)."""
    score = x[label]
    if score != score:
        return largest_of(x) == label
    for j in range(label):
        if not x[j] < score:
            return False
    for j in range(label + 1, x.size):  # noqa: SIM110 (Numba has no generators in all)
        if not x[j] <= score:
            return False
    return True


@kernel("x.shape[0]")
def softmax_cross_entropy(x, t, losses, dx, start, stop):
    """Cross-entropy of softmax(x) against integer labels t."""
    n = x.dtype.type(x.shape[0])
    step = max(1, _block(x.itemsize) // x.shape[1])
    for first in range(start, stop, step):
        rows = slice(first, min(stop, first + step))
        cross_entropy_rows(x[rows], t[rows], losses[rows], dx[rows], n)


@kernel("x.shape[0]")
def softmax_cross_entropy_dense(x, t, losses, dx, start, stop):
    """Cross-entropy of softmax(x) against target distributions t, shaped like x."""
    n = x.dtype.type(x.shape[0])
    for i in range(start, stop):
        losses[i] = dense_cross_entropy_row(x[i], t[i], dx[i], n)


@kernel("x.shape[0]")
def mean_squared_error(x, t, losses, dx, start, stop):
    """Half the squared distance of each row of x from t."""
    half, n = x.dtype.type(0.5), x.dtype.type(x.shape[0])
    for i in range(start, stop):
        row, target, d = x[i], t[i], dx[i]
        for j in range(d.size):
            d[j] = row[j] - target[j]
        losses[i] = half * sum_of_squares(d)
        for j in range(d.size):
            d[j] /= n
