"""The steps of a training program for batch normalisation.

Sums over a batch are taken for each unit of it and then put together, by one thread.
"""

import numba
import numpy as np

from fastnn.kernels.codegen.compile import inlined, serial
from fastnn.kernels.codegen.memory import matrix, pointer, vector
from fastnn.kernels.layers.batchnorm_rows import (
    add_gradients,
    add_moments,
    gradient_rows,
    normalise_rows,
)
from fastnn.kernels.layers.moments import (
    finish,
    finish_gradients,
    join_gradients,
    join_moments,
)
from fastnn.kernels.program.making import step_of
from fastnn.kernels.program.places import place
from fastnn.kernels.program.tables import UNIT


@inlined
def _rows(p, address, local, first, count, worker, d, like):
    return matrix(place(address, local, first, worker * p.block, d * like.itemsize), count, d, like)


@inlined
def _partial(p, s):
    """Return the sums of units, and behind them those of all."""
    units = (p.n + UNIT - 1) // UNIT
    return numba.carray(pointer(s.partial), (units + 1, 3, s.d), np.float64)


@inlined
def _part(p, s, unit, like):
    """Return memory for sums of a unit in the type of numbers, behind all those of float64."""
    units = (p.n + UNIT - 1) // UNIT
    return matrix(s.partial + (units + 1 + unit) * 3 * s.d * 8, 3, s.d, like)


@inlined
def _scales(s, like):
    """Return what the rows of a pass are scaled by, three numbers a column."""
    scales = matrix(s.scales, 3, s.d, like)
    return scales[0], scales[1], scales[2]


@serial
def normalise(p, s, first, count, worker, like):
    """Normalise some rows by mean and deviation."""
    d = s.d
    x = _rows(p, s.source, s.source_local, first, count, worker, d, like)
    target = _rows(p, s.target, s.target_local, first, count, worker, d, like)
    slope, shift, _ = _scales(s, like)
    normalise_rows(x, vector(s.mean, d, like), slope, shift, s.low, target)


@serial
def norm_gradient(p, s, first, count, worker, like):
    """Write the gradient with respect to some rows, from the sums over all of them."""
    d = s.d
    target = _rows(p, s.target, s.target_local, first, count, worker, d, like)
    other = _rows(p, s.other, s.other_local, first, count, worker, d, like)
    y = _rows(p, s.output, s.output_local, first, count, worker, d, like)
    slope, along, shift = _scales(s, like)
    mean, rstd = vector(s.mean, d, like), vector(s.rstd, d, like)
    gradient_rows(target, other, y, s.output != 0, mean, rstd, slope, along, shift, target)


@serial
def norm_moments(p, s, first, count, worker, like):
    """Leave sums for mean and variance of each unit."""
    x = _rows(p, s.source, s.source_local, first, count, worker, s.d, like)
    partial = _partial(p, s)
    for low in range(0, count, UNIT):
        add_moments(x[low : min(count, low + UNIT)], partial[(first + low) // UNIT])


@serial
def norm_sums(p, s, first, count, worker, like):
    """Leave sums for the gradients of gamma and beta of each unit."""
    d = s.d
    target = _rows(p, s.target, s.target_local, first, count, worker, d, like)
    other = _rows(p, s.other, s.other_local, first, count, worker, d, like)
    y = _rows(p, s.output, s.output_local, first, count, worker, d, like)
    mean, rstd, partial = vector(s.mean, d, like), vector(s.rstd, d, like), _partial(p, s)
    for low in range(0, count, UNIT):
        rows, unit = slice(low, min(count, low + UNIT)), (first + low) // UNIT
        add_gradients(
            target[rows], other[rows], y[rows], s.output != 0, mean, rstd, partial[unit],
            _part(p, s, unit, like),
        )  # fmt: skip


@serial
def finish_moments(p, s, first, count, worker, like):
    """Put together mean and deviation, and move the running statistics."""
    d = s.d
    partial = _partial(p, s)
    slope, shift, _ = _scales(s, like)
    join_moments(partial[:-1], 0, UNIT, p.n, partial[-1])
    finish(
        p.n, partial[-1], vector(s.gamma, d, like), vector(s.beta, d, like),
        vector(s.running_mean, d, like), vector(s.running_var, d, like), s.momentum, s.eps,
        vector(s.mean, d, like), vector(s.rstd, d, like), slope, shift,
    )  # fmt: skip


@serial
def finish_sums(p, s, first, count, worker, like):
    """Put together the gradients of gamma and beta."""
    d = s.d
    partial = _partial(p, s)
    slope, along, shift = _scales(s, like)
    join_gradients(partial[:-1], 0, partial[-1])
    finish_gradients(
        p.n, partial[-1], vector(s.gamma, d, like), vector(s.rstd, d, like),
        vector(s.dgamma, d, like), vector(s.dbeta, d, like), slope, along, shift,
    )  # fmt: skip


PARTS = {
    "step_of_moments": step_of(norm_moments),
    "step_of_normalise": step_of(normalise),
    "step_of_gradient_sums": step_of(norm_sums),
    "step_of_norm_gradient": step_of(norm_gradient),
    "step_of_finish_moments": step_of(finish_moments),
    "step_of_finish_sums": step_of(finish_sums),
}
