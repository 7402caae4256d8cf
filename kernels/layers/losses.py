"""Losses of a batch, with the gradient in the same pass over the rows.

Each kernel gives the mean of the rows' losses; `dx` is the gradient of that mean. With weights w it
is the weighted mean, sum(w loss) / sum(w).
"""

import math
import sys

from fastnn.kernels.codegen.compile import inlined, row_sum, serial
from fastnn.kernels.codegen.elementary import exp, log, log1p, maximum
from fastnn.kernels.codegen.memory import address_of, claim, is_absent, vector
from fastnn.kernels.codegen.rounds import side_by_side
from fastnn.kernels.layers.activations import exp_each, exp_shifted, sum_of
from fastnn.kernels.machine.words import REFUSED
from fastnn.kernels.threading.driver import kernel
from fastnn.kernels.tuning import by_itemsize

__all__ = [
    "binary_cross_entropy",
    "huber",
    "mean_squared_error",
    "poisson",
    "softmax_cross_entropy",
    "softmax_cross_entropy_dense",
]


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


@row_sum
def _sum_of_shares(row, share):
    """Sum of a row, times a number that no sum is to overflow before it."""
    total = row.dtype.type(0)
    for j in range(row.size):
        total += row[j] * share
    return total


@serial
def smooth_rows(x, labels, losses, d, n, smoothing):
    """Bring what :func:`cross_entropy_rows` wrote to targets that are smoothed.

    Of the label's 1 each class gets an equal share of `smoothing`.
    """
    real = x.dtype.type
    share, moved = real(1) / real(x.shape[1]), real(smoothing)
    for i in range(x.shape[0]):
        row = d[i]
        losses[i] += moved * (x[i, labels[i]] - _sum_of_shares(x[i], share))
        for j in range(row.size):
            row[j] -= moved * share / n
        row[labels[i]] += moved / n


@serial
def dense_cross_entropy_row(x, target, d, n, smoothing):
    """Write the gradient for scores x, one of n samples, to d; return the loss."""
    real = x.dtype.type
    zero, kept, share = real(0), real(1 - smoothing), real(smoothing / x.size)
    largest, total = exp_shifted(x, d)
    log_total = log(total)
    loss, weight = zero, zero
    for j in range(d.size):
        # 0 log 0 = 0: a class that is ruled out (x = -inf) may have the target 0.
        surprise, goal = log_total - (x[j] - largest), target[j] * kept + share
        loss += zero if goal == zero else goal * surprise
        weight += goal
    scale = weight / total
    for j in range(d.size):
        d[j] = (d[j] * scale - (target[j] * kept + share)) / n
    return loss


@row_sum
def sum_of_squares(row):
    """Sum of the squares of a row."""
    total = row.dtype.type(0)
    for j in range(row.size):
        total += row[j] * row[j]
    return total


@serial
def squared_error_rows(x, t, losses, d, n):
    """Write losses and gradients for the predictions of some of n samples."""
    half = x.dtype.type(0.5)
    for i in range(x.shape[0]):
        row, target, out = x[i], t[i], d[i]
        for j in range(out.size):
            out[j] = row[j] - target[j]
        losses[i] = half * sum_of_squares(out)
        for j in range(out.size):
            out[j] /= n


def _of_elements(loss, slope):
    """Return what writes losses and gradients for rows of a loss that is a sum over elements.

    Parameters
    ----------
    loss, slope : compiled function of (x, t, setting)
        Of one element, its loss and the derivative of that.
    """

    @serial
    def rows(x, t, losses, d, n, setting):
        # Rows may be of one element: so these are loops over all that there are.
        number = x.dtype.type(setting)
        a, b = vector(address_of(x), x.size, x), vector(address_of(t), x.size, x)
        out = vector(address_of(d), x.size, x)
        side_by_side()
        for i in range(out.size):
            out[i] = loss(a[i], b[i], number)
        for i in range(x.shape[0]):
            losses[i] = sum_of(d[i])
        for i in range(out.size):
            out[i] = slope(a[i], b[i], number) / n

    return rows


@inlined
def _smoothed(t, smoothing):
    """Return a target between 0 and 1, half of `smoothing` further from either."""
    # One product in a sum: of two, scalar code may fuse the one and vector code the other.
    return t - smoothing * (t - type(t)(0.5))


@inlined
def _logistic_loss(x, t, smoothing):
    """Return log(1 + exp(x)) - t x, where neither is large."""
    zero, goal = type(x)(0), _smoothed(t, smoothing)
    # No choice between products: in branches scalar code would fuse them with the sum.
    above = x if x > zero else zero
    return (above - goal * x) + log1p(exp(-abs(x)))


@inlined
def _logistic_slope(x, t, smoothing):
    """Return 1 / (1 + exp(-x)) - t."""
    one = type(x)(1)
    return one / (one + exp(-x)) - _smoothed(t, smoothing)


@inlined
def _poisson_loss(x, t, _):
    """Return t log(t) - t x - t + exp(x), 0 log 0 = 0."""
    e, level = exp(x), log(t)
    return e - t if level == -math.inf else (e - t) + t * (level - x)


@inlined
def _poisson_slope(x, t, _):
    """Return exp(x) - t."""
    return exp(x) - t


@inlined
def _clamped(difference, delta):
    """Return a difference, delta at most, with its sign; NaN stays."""
    low = -delta if difference < -delta else difference
    return delta if low > delta else low


@inlined
def _huber_loss(x, t, delta):
    """Return half the square of x - t, or, beyond delta, delta (|x - t| - delta / 2)."""
    near = _clamped(x - t, delta)
    return near * ((x - t) - type(x)(0.5) * near)


@inlined
def _huber_slope(x, t, delta):
    """Return x - t, delta at most, with its sign."""
    return _clamped(x - t, delta)


logistic_rows = _of_elements(_logistic_loss, _logistic_slope)
poisson_rows = _of_elements(_poisson_loss, _poisson_slope)
huber_rows = _of_elements(_huber_loss, _huber_slope)


@serial
def weigh(losses, dx, w, scale):
    """Multiply losses by weights, and gradients of their mean by weights and n / sum(w)."""
    for i in range(losses.size):
        row, factor = dx[i], losses.dtype.type(w[i] * scale)
        losses[i] *= losses.dtype.type(w[i])
        for j in range(row.size):
            row[j] *= factor


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
def _sum(numbers):
    """Return a sum in float64, with the bits that NumPy's has."""
    total, step = 0.0, _BUFFER if numbers.itemsize < 8 else numbers.size
    for first in range(0, numbers.size, step):
        total += _pairwise(numbers, first, min(step, numbers.size - first))
    return total


@serial
def _weight(w, n):
    """Return the sum of the weights, or n; 1 if all are 0, and so are losses and gradients."""
    if is_absent(w):
        return float(n)
    total = _sum(w)
    return total if total > 0 else 1.0


@serial
def _losses(x, space):
    """Return an array for the losses of rows in workspace, and how many bytes are wanting."""
    begin, wanted = claim(space, x.shape[0] * x.itemsize)
    return vector(begin, x.shape[0], x), wanted


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


@serial
def _blocks(x):
    """Return how many rows a block has."""
    return max(1, _block(x.itemsize) // x.shape[1])


@serial
def _weigh(losses, dx, w, total, rows):
    """Weigh some rows, if there are weights."""
    if not is_absent(w):
        weigh(losses[rows], dx[rows], w[rows], losses.size / total)


@kernel("x.shape[0]")
def _cross_entropy(x, t, w, smoothing, total, losses, dx, start, stop):
    n, step = x.dtype.type(x.shape[0]), _blocks(x)
    for first in range(start, stop, step):
        rows = slice(first, min(stop, first + step))
        cross_entropy_rows(x[rows], t[rows], losses[rows], dx[rows], n)
        if smoothing != 0:
            smooth_rows(x[rows], t[rows], losses[rows], dx[rows], n, smoothing)
        _weigh(losses, dx, w, total, rows)


@serial
def softmax_cross_entropy(x, t, w, smoothing, loss, dx, chunks, space):
    """Cross-entropy of softmax(x) against integer labels t, which are refused if out of range."""
    if x.size == 0 or not _are_labels(t, x.shape[1]):
        return REFUSED
    losses, wanted = _losses(x, space)
    if wanted > 0:
        return wanted
    total = _weight(w, losses.size)
    _cross_entropy(x, t, w, smoothing, total, losses, dx, chunks)
    loss[0] = _sum(losses) / total
    return 0


@kernel("x.shape[0]")
def _dense_cross_entropy(x, t, w, smoothing, total, losses, dx, start, stop):
    n = x.dtype.type(x.shape[0])
    for i in range(start, stop):
        losses[i] = dense_cross_entropy_row(x[i], t[i], dx[i], n, smoothing)
    _weigh(losses, dx, w, total, slice(start, stop))


@serial
def softmax_cross_entropy_dense(x, t, w, slack, smoothing, loss, dx, chunks, space):
    """Cross-entropy of softmax(x) against target distributions t, shaped like x.

    They are refused if a row's sum is off 1 by more than `slack`, which may be infinite: they have
    been looked at before.
    """
    if x.size == 0 or (slack < math.inf and not _are_probabilities(t, slack)):
        return REFUSED
    losses, wanted = _losses(x, space)
    if wanted > 0:
        return wanted
    total = _weight(w, losses.size)
    _dense_cross_entropy(x, t, w, smoothing, total, losses, dx, chunks)
    loss[0] = _sum(losses) / total
    return 0


@kernel("x.shape[0]")
def _squared_error(x, t, w, total, losses, dx, start, stop):
    rows, n = slice(start, stop), x.dtype.type(x.shape[0])
    squared_error_rows(x[rows], t[rows], losses[rows], dx[rows], n)
    _weigh(losses, dx, w, total, rows)


@serial
def mean_squared_error(x, t, w, loss, dx, chunks, space):
    """Half the squared distance of a row of x from t."""
    if x.size == 0:
        return REFUSED
    losses, wanted = _losses(x, space)
    if wanted > 0:
        return wanted
    total = _weight(w, losses.size)
    _squared_error(x, t, w, total, losses, dx, chunks)
    loss[0] = _sum(losses) / total
    return 0


@serial
def _are_between(t, low, high):
    """Say whether all are, and so none is NaN."""
    wrong = False
    for i in range(t.shape[0]):
        for j in range(t.shape[1]):
            wrong |= not (t[i, j] >= low and t[i, j] <= high)
    return not wrong


def _kernel_of(rows_of):
    """Return the kernel of a loss that is a sum over elements.

    It refuses targets that are not from `low` to `high`, unless `low` is infinite: they have been
    looked at before.
    """

    @kernel("x.shape[0]")
    def of_rows(x, t, w, setting, total, losses, dx, start, stop):
        n, step = x.dtype.type(x.shape[0]), _blocks(x)
        for first in range(start, stop, step):
            rows = slice(first, min(stop, first + step))
            rows_of(x[rows], t[rows], losses[rows], dx[rows], n, setting)
            _weigh(losses, dx, w, total, rows)

    @serial
    def of_elements(x, t, w, low, high, setting, loss, dx, chunks, space):
        if x.size == 0 or (low > -math.inf and not _are_between(t, low, high)):
            return REFUSED
        losses, wanted = _losses(x, space)
        if wanted > 0:
            return wanted
        total = _weight(w, losses.size)
        of_rows(x, t, w, setting, total, losses, dx, chunks)
        loss[0] = _sum(losses) / total
        return 0

    return of_elements


_LARGEST = sys.float_info.max  # and infinity is none

_logistic, _poisson, _huber = map(_kernel_of, (logistic_rows, poisson_rows, huber_rows))


@serial
def binary_cross_entropy(x, t, w, low, high, smoothing, loss, dx, chunks, space):
    """Cross-entropy of sigmoid(x), each a yes or no, against t, summed over a row."""
    return _logistic(x, t, w, low, high, smoothing, loss, dx, chunks, space)


@serial
def poisson(x, t, w, low, loss, dx, chunks, space):
    """Half the deviance of Poisson distributions with the means exp(x), summed over a row."""
    return _poisson(x, t, w, low, _LARGEST, 0.0, loss, dx, chunks, space)


@serial
def huber(x, t, w, delta, loss, dx, chunks, space):
    """Half the squares of x - t, or, beyond delta, what goes on straight, summed over a row."""
    return _huber(x, t, w, -math.inf, math.inf, delta, loss, dx, chunks, space)
