"""The steps of a training program for losses.

Each writes the gradient with respect to the scores, sums of losses over units, and of how many rows
are right.
"""

import numpy as np

from fastnn.kernels.codegen.compile import inlined, serial
from fastnn.kernels.codegen.memory import matrix, typed, vector
from fastnn.kernels.layers import losses
from fastnn.kernels.layers.activations import sum_of
from fastnn.kernels.program.making import step_of
from fastnn.kernels.program.places import place, sample
from fastnn.kernels.program.tables import UNIT


@serial
def _scores(p, s, first, count, worker, like):
    """Return the scores of some rows, where their gradient is to be, and the rows' losses."""
    size, own = like.itemsize, worker * p.block
    x = matrix(place(s.source, s.source_local, first, own, s.d * size), count, s.d, like)
    dx = matrix(place(s.target, s.target_local, first, own, s.d * size), count, s.d, like)
    return x, dx, vector(p.losses + first * size, count, like)


@serial
def _labels(p, first, count):
    """Return memory for labels of some rows."""
    return typed(p.labels + first * 8, count, np.int64)


@serial
def _goals(p, first, count, columns, like):
    """Return the targets of some rows: where they lie, or a copy, if rows have an order."""
    size = columns * like.itemsize
    if p.order == 0:
        return matrix(p.targets + first * size, count, columns, like)
    goals = matrix(p.goals + first * size, count, columns, like)
    for i in range(count):
        row = vector(p.targets + sample(p, first + i) * size, columns, like)
        for j in range(columns):
            goals[i, j] = row[j]
    return goals


@serial
def _weigh(p, first, of_rows, dx):
    """Multiply losses and gradients of some rows by weights, if there are any."""
    if p.weights != 0:
        for i in range(of_rows.size):
            at = sample(p, first + i)
            w = typed(p.weights, at + 1, np.float64)[at:]
            losses.weigh(of_rows[i : i + 1], dx[i : i + 1], w, p.n / p.mass)


@serial
def _sum_up(p, first, of_rows):
    for low in range(0, of_rows.size, UNIT):
        unit = typed(p.loss_sums + (first + low) // UNIT * 8, 1, np.float64)
        unit[0] = sum_of(of_rows[low : min(of_rows.size, low + UNIT)])


@serial
def _note(p, first, i, right):
    """Count a row, the i-th of those from `first` on, if it is right."""
    hits = typed(p.hit_sums + (first + i) // UNIT * 8, 1, np.int64)
    if i % UNIT == 0:
        hits[0] = 0
    hits[0] += right


@serial
def _finish_classes(p, first, x, labels, of_rows, dx):
    _weigh(p, first, of_rows, dx)
    _sum_up(p, first, of_rows)
    for i in range(labels.size):
        _note(p, first, i, losses.is_right(x[i], labels[i]))


@serial
def cross_entropy(p, s, first, count, worker, like):
    """Take the loss of some rows by their labels."""
    x, dx, of_rows = _scores(p, s, first, count, worker, like)
    labels, n = _labels(p, first, count), like.dtype.type(p.n)
    for i in range(count):
        at = sample(p, first + i)
        labels[i] = typed(p.targets, at + 1, np.int64)[at]
    losses.cross_entropy_rows(x, labels, of_rows, dx, n)
    if s.setting != 0:
        losses.smooth_rows(x, labels, of_rows, dx, n, s.setting)
    _finish_classes(p, first, x, labels, of_rows, dx)


@serial
def dense_cross_entropy(p, s, first, count, worker, like):
    """Take the loss of some rows by their target distributions."""
    x, dx, of_rows = _scores(p, s, first, count, worker, like)
    labels, n = _labels(p, first, count), like.dtype.type(p.n)
    goals = _goals(p, first, count, s.d, like)
    for i in range(count):
        labels[i] = losses.largest_of(goals[i])
        of_rows[i] = losses.dense_cross_entropy_row(x[i], goals[i], dx[i], n, s.setting)
    _finish_classes(p, first, x, labels, of_rows, dx)


@serial
def squared_error(p, s, first, count, worker, like):
    """Take half the squared distance of some rows from their targets."""
    x, dx, of_rows = _scores(p, s, first, count, worker, like)
    goals, n = _goals(p, first, count, s.d, like), like.dtype.type(p.n)
    if p.weights != 0:
        losses.squared_error_rows(x, goals, of_rows, dx, n)
        _weigh(p, first, of_rows, dx)
        _sum_up(p, first, of_rows)
    else:  # all elements at once, as rows may be short
        scores, aims = vector(x.ctypes.data, x.size, like), vector(goals.ctypes.data, x.size, like)
        out = vector(dx.ctypes.data, x.size, like)
        for j in range(out.size):
            out[j] = scores[j] - aims[j]
        for low in range(0, count, UNIT):
            unit = typed(p.loss_sums + (first + low) // UNIT * 8, 1, np.float64)
            some = out[low * s.d : min(count, low + UNIT) * s.d]
            unit[0] = 0.5 * losses.sum_of_squares(some)
        for j in range(out.size):
            out[j] /= n
    for i in range(0, count, UNIT):
        _note(p, first, i, False)


@inlined
def _none_right(scores, goals):
    return False


@serial
def _all_right(scores, goals):
    """Say whether scores are above 0 where targets are nearer to 1 than to 0, and nowhere else."""
    right = True
    for j in range(scores.size):
        right &= (scores[j] > 0) == (goals[j] > 0.5)
    return right


def _of_elements(rows_of, is_right):
    """Return the step of a loss that is a sum over elements.

    Parameters
    ----------
    rows_of : compiled function of (x, t, losses, dx, n, setting)
    is_right : compiled function of (scores, targets), of a row
    """

    @serial
    def take(p, s, first, count, worker, like):
        x, dx, of_rows = _scores(p, s, first, count, worker, like)
        goals, n = _goals(p, first, count, s.d, like), like.dtype.type(p.n)
        rows_of(x, goals, of_rows, dx, n, s.setting)
        _weigh(p, first, of_rows, dx)
        _sum_up(p, first, of_rows)
        for i in range(count):
            _note(p, first, i, is_right(x[i], goals[i]))

    return take


PARTS = {
    "step_of_cross_entropy": step_of(cross_entropy),
    "step_of_dense_cross_entropy": step_of(dense_cross_entropy),
    "step_of_squared_error": step_of(squared_error),
    "step_of_binary_cross_entropy": step_of(_of_elements(losses.logistic_rows, _all_right)),
    "step_of_poisson": step_of(_of_elements(losses.poisson_rows, _none_right)),
    "step_of_huber": step_of(_of_elements(losses.huber_rows, _none_right)),
}
