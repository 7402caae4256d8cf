"""The steps of a training program for batch normalisation.

Sums over a batch are taken for each unit of it and then put together, by one thread.
"""

from fastnn.kernels.codegen.compile import inlined, serial
from fastnn.kernels.codegen.memory import cube, matrix, vector
from fastnn.kernels.layers.batchnorm import (
    add_gradients,
    add_moments,
    gradient_rows,
    join_blocks,
    join_gradients,
    normalise_rows,
)
from fastnn.kernels.layers.moments import finish
from fastnn.kernels.program.step import step_of
from fastnn.kernels.program.tables import UNIT, place


@inlined
def _rows(p, address, local, first, count, worker, d, like):
    return matrix(place(address, local, first, worker * p.block, d * like.itemsize), count, d, like)


@serial
def normalise(p, s, first, count, worker, like):
    """Normalise some rows by mean and deviation."""
    d = s.d
    x = _rows(p, s.source, s.source_local, first, count, worker, d, like)
    target = _rows(p, s.target, s.target_local, first, count, worker, d, like)
    mean, rstd = vector(s.mean, d, like), vector(s.rstd, d, like)
    normalise_rows(x, vector(s.gamma, d, like), vector(s.beta, d, like), mean, rstd, s.low, target)


@serial
def norm_gradient(p, s, first, count, worker, like):
    """Write the gradient with respect to some rows, from the sums over all of them."""
    d = s.d
    target = _rows(p, s.target, s.target_local, first, count, worker, d, like)
    other = _rows(p, s.other, s.other_local, first, count, worker, d, like)
    y = _rows(p, s.output, s.output_local, first, count, worker, d, like)
    mean, rstd, gamma = vector(s.mean, d, like), vector(s.rstd, d, like), vector(s.gamma, d, like)
    dgamma, dbeta = vector(s.dgamma, d, like), vector(s.dbeta, d, like)
    gradient_rows(target, other, y, s.output != 0, gamma, mean, rstd, target, dgamma, dbeta, p.n)


@serial
def norm_moments(p, s, first, count, worker, like):
    """Leave sums for mean and variance of each unit."""
    d = s.d
    x = _rows(p, s.source, s.source_local, first, count, worker, d, like)
    pivot = vector(s.running_mean, d, like)
    for low in range(0, count, UNIT):
        sums = matrix(s.partial + (first + low) // UNIT * 2 * d * like.itemsize, 2, d, like)
        add_moments(x[low : min(count, low + UNIT)], pivot, sums[0], sums[1])


@serial
def norm_sums(p, s, first, count, worker, like):
    """Leave sums for the gradients of gamma and beta of each unit."""
    d = s.d
    target = _rows(p, s.target, s.target_local, first, count, worker, d, like)
    other = _rows(p, s.other, s.other_local, first, count, worker, d, like)
    y = _rows(p, s.output, s.output_local, first, count, worker, d, like)
    mean, rstd = vector(s.mean, d, like), vector(s.rstd, d, like)
    for low in range(0, count, UNIT):
        unit = slice(low, min(count, low + UNIT))
        sums = matrix(s.partial + (first + low) // UNIT * 2 * d * like.itemsize, 2, d, like)
        add_gradients(
            target[unit], other[unit], y[unit], s.output != 0, mean, rstd, sums[0], sums[1]
        )


@inlined
def _partial(p, s, like):
    return cube(s.partial, (p.n + UNIT - 1) // UNIT, 2, s.d, like)


@serial
def finish_moments(p, s, first, count, worker, like):
    """Put together mean and deviation, and move the running statistics."""
    d = s.d
    mean, rstd = vector(s.mean, d, like), vector(s.rstd, d, like)
    running_mean = vector(s.running_mean, d, like)
    join_blocks(_partial(p, s, like), UNIT, p.n, mean, rstd)
    finish(
        p.n, running_mean, running_mean, vector(s.running_var, d, like), s.momentum, s.eps,
        mean, rstd,
    )  # fmt: skip


@serial
def finish_sums(p, s, first, count, worker, like):
    """Put together the gradients of gamma and beta."""
    join_gradients(_partial(p, s, like), vector(s.dgamma, s.d, like), vector(s.dbeta, s.d, like))


MOMENTS = step_of("sums for mean and variance", norm_moments)
NORMALISE = step_of("normalise", normalise)
GRADIENT_SUMS = step_of("sums for gamma and beta", norm_sums)
NORM_GRADIENT = step_of("gradient of normalisation", norm_gradient)
# Of the whole batch, after a segment.
FINISH_MOMENTS = step_of("mean, variance, running statistics", finish_moments)
FINISH_SUMS = step_of("gradients of gamma and beta", finish_sums)
