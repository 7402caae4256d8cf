"""The steps of a training program for batch normalisation.

Sums over a batch are taken for each unit of it and then put together, by one thread.
"""

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import cube, matrix, vector
from fastnn.kernels.layers.batchnorm_rows import (
    add_gradients,
    add_moments,
    gradient_rows,
    join_blocks,
    join_gradients,
    normalise_rows,
)
from fastnn.kernels.layers.moments import finish
from fastnn.kernels.program.tables import (
    FINISH_MOMENTS,
    FINISH_SUMS,
    GRADIENT_SUMS,
    MOMENTS,
    NORM_GRADIENT,
    NORMALISE,
    UNIT,
    UNKNOWN_STEP,
    place,
    refuse,
)


@serial
def norm(p, s, first, count, worker, like):
    """Take a step for some rows."""
    d, size, own = s.d, like.itemsize, worker * p.block
    x = matrix(place(s.source, s.source_local, first, own, d * size), count, d, like)
    target = matrix(place(s.target, s.target_local, first, own, d * size), count, d, like)
    other = matrix(place(s.other, s.other_local, first, own, d * size), count, d, like)
    y = matrix(place(s.output, s.output_local, first, own, d * size), count, d, like)
    mean, rstd = vector(s.mean, d, like), vector(s.rstd, d, like)
    gamma, beta, masked = vector(s.gamma, d, like), vector(s.beta, d, like), s.output != 0
    if s.kind == NORMALISE:
        normalise_rows(x, gamma, beta, mean, rstd, s.low, target)
    elif s.kind == NORM_GRADIENT:
        dgamma, dbeta = vector(s.dgamma, d, like), vector(s.dbeta, d, like)
        gradient_rows(target, other, y, masked, gamma, mean, rstd, target, dgamma, dbeta, p.n)
    elif s.kind == MOMENTS or s.kind == GRADIENT_SUMS:
        pivot = vector(s.running_mean, d, like)
        for low in range(0, count, UNIT):
            unit = slice(low, min(count, low + UNIT))
            sums = matrix(s.partial + (first + low) // UNIT * 2 * d * size, 2, d, like)
            if s.kind == MOMENTS:
                add_moments(x[unit], pivot, sums[0], sums[1])
            else:
                add_gradients(
                    target[unit], other[unit], y[unit], masked, mean, rstd, sums[0], sums[1]
                )
    else:
        refuse(p, UNKNOWN_STEP, s.kind)


@serial
def finish_norm(p, s, like):
    """Put together what the units of a batch have left of sums."""
    d = s.d
    partial = cube(s.partial, (p.n + UNIT - 1) // UNIT, 2, d, like)
    if s.kind == FINISH_MOMENTS:
        mean, rstd = vector(s.mean, d, like), vector(s.rstd, d, like)
        running_mean = vector(s.running_mean, d, like)
        join_blocks(partial, UNIT, p.n, mean, rstd)
        finish(
            p.n, running_mean, running_mean, vector(s.running_var, d, like), s.momentum, s.eps,
            mean, rstd,
        )  # fmt: skip
    elif s.kind == FINISH_SUMS:
        join_gradients(partial, vector(s.dgamma, d, like), vector(s.dbeta, d, like))
    else:
        refuse(p, UNKNOWN_STEP, s.kind)
