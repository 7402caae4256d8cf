"""Losses of a batch, with the gradient in the same pass over the rows.

Each kernel gives the mean of the rows' losses; `dx` is the gradient of that mean.
"""

import math

from fastnn.kernels.codegen.compile import row_sum, serial
from fastnn.kernels.codegen.elementary import log, maximum
from fastnn.kernels.codegen.memory import address_of, claim, vector
from fastnn.kernels.layers.activations import exp_each, exp_shifted, sum_of
from fastnn.kernels.machine.words import REFUSED
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
    exp_each(vector(address_of(d), d.size, d))
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


# As NumPy adds up: eight sums, of at most so many numbers, and sums of halves of more; of float32
# it makes float64 in a buffer, whose sums it adds up one by one.
_AT_ONCE, _BUFFER = 128, 8192


@serial
def _pairwise(a, first, n):
    """Return the sum of n numbers, those from `first` on, in float64."""
    total = 0.0
    if n < 8:
        for i in range(first, first + n):
            total += a[i]
        return total
    if n > _AT_ONCE:
        half = n // 16 * 8
        return _pairwise(a, first, half) + _pairwise(a, first + half, n - half)
    s0, s1, s2, s3, s4, s5, s6, s7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    end = first + n // 8 * 8
    for i in range(first, end, 8):
        s0 += a[i]
        s1 += a[i + 1]
        s2 += a[i + 2]
        s3 += a[i + 3]
        s4 += a[i + 4]
        s5 += a[i + 5]
        s6 += a[i + 6]
        s7 += a[i + 7]
    total = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
    for i in range(end, first + n):
        total += a[i]
    return total


@serial
def _mean(losses):
    """Return the mean of losses, in float64, with the bits that NumPy's sum gives it."""
    total, step = 0.0, _BUFFER if losses.itemsize < 8 else losses.size
    for first in range(0, losses.size, step):
        total += _pairwise(losses, first, min(step, losses.size - first))
    return total / losses.size


@serial
def _are_labels(t, classes):
    """Say whether all are from 0 to the last class."""
    wrong = 0
    for i in range(t.size):
        wrong |= (t[i] < 0) | (t[i] >= classes)
    return wrong == 0


@serial
def _are_probabilities(t, slack):
    """Say whether rows are, with a sum that is off 1 by so much at most."""
    for i in range(t.shape[0]):
        total, low = 0.0, 0.0
        for j in range(t.shape[1]):
            total += t[i, j]
            low = min(low, t[i, j])
        if not (low >= 0 and abs(total - 1) <= slack):
            return False
    return True


@kernel("x.shape[0]")
def _cross_entropy(x, t, losses, dx, start, stop):
    n = x.dtype.type(x.shape[0])
    step = max(1, _block(x.itemsize) // x.shape[1])
    for first in range(start, stop, step):
        rows = slice(first, min(stop, first + step))
        cross_entropy_rows(x[rows], t[rows], losses[rows], dx[rows], n)


@serial
def softmax_cross_entropy(x, t, loss, dx, chunks, space):
    """Cross-entropy of softmax(x) against integer labels t, which are refused if out of range."""
    if x.size == 0 or not _are_labels(t, x.shape[1]):
        return REFUSED
    begin, wanted = claim(space, x.shape[0] * x.itemsize)
    if wanted > 0:
        return wanted
    losses = vector(begin, x.shape[0], x)
    _cross_entropy(x, t, losses, dx, chunks)
    loss[0] = _mean(losses)
    return 0


@kernel("x.shape[0]")
def _dense_cross_entropy(x, t, losses, dx, start, stop):
    n = x.dtype.type(x.shape[0])
    for i in range(start, stop):
        losses[i] = dense_cross_entropy_row(x[i], t[i], dx[i], n)


@serial
def softmax_cross_entropy_dense(x, t, slack, loss, dx, chunks, space):
    """Cross-entropy of softmax(x) against target distributions t, shaped like x.

    They are refused if a row's sum is off 1 by more than `slack`, which may be infinite: they have
    been looked at before.
    """
    if x.size == 0 or (slack < math.inf and not _are_probabilities(t, slack)):
        return REFUSED
    begin, wanted = claim(space, x.shape[0] * x.itemsize)
    if wanted > 0:
        return wanted
    losses = vector(begin, x.shape[0], x)
    _dense_cross_entropy(x, t, losses, dx, chunks)
    loss[0] = _mean(losses)
    return 0


@kernel("x.shape[0]")
def _squared_error(x, t, losses, dx, start, stop):
    half, n = x.dtype.type(0.5), x.dtype.type(x.shape[0])
    for i in range(start, stop):
        row, target, d = x[i], t[i], dx[i]
        for j in range(d.size):
            d[j] = row[j] - target[j]
        losses[i] = half * sum_of_squares(d)
        for j in range(d.size):
            d[j] /= n


@serial
def mean_squared_error(x, t, loss, dx, chunks, space):
    """Half the squared distance of a row of x from t."""
    if x.size == 0:
        return REFUSED
    begin, wanted = claim(space, x.shape[0] * x.itemsize)
    if wanted > 0:
        return wanted
    losses = vector(begin, x.shape[0], x)
    _squared_error(x, t, losses, dx, chunks)
    loss[0] = _mean(losses)
    return 0
