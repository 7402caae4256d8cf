"""Scores of many samples in one call of compiled code.

Blocks of samples go through all layers before the next block does, so that nothing but the scores
has a row for each sample. What batch normalisation and dropout do at test time is put into the
weights of the affine layer beside them. That changes results by rounding errors of the size of
those of the product itself: each weight is rounded once more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import config
from fastnn._utils import interrupts
from fastnn._utils.types import Array
from fastnn.kernels.tuning import COMMON
from fastnn.layers.folding import folded
from fastnn.layers.planning import Unsupported
from fastnn.layers.sizes import Shape
from fastnn.program.data import Samples, as_used, blocks, is_for_blocks, samples
from fastnn.program.parameters import known_layers
from fastnn.program.plan import Plan, Sizes
from fastnn.program.tables import Tables, nothing

# Operations from which on a call is worth its plan, which takes half a millisecond.
WORTH = COMMON.scores_worth

# As the number of steps that were taken, and as the nanoseconds that one takes alone: the only
# step there is is then shared.
_SHARED = (1 << 62) + 1


def scores(network: Any, x: Array) -> Array | None:
    """Return what ``network.predict(x)`` does in inference mode, or None if it is not for this."""
    work = 2 * len(x) * sum(p.size for p in network.params.values())
    if work < WORTH:
        return None
    try:
        found = known_layers(network)
        return _scores_of_all(found, x, network.input_scale, network.dtype)
    except Unsupported:
        return None


def _scores_of_all(
    found: list[tuple[str, Any]], x: Array, scale: float, real: np.dtype[Any]
) -> Array:
    """Return the scores of samples; those in a file that must be converted are some at a time."""
    if not is_for_blocks(x):
        return scores_of(found, samples(x, scale, real), real, x.shape[1:])
    parts = [
        scores_of(found, samples(x[rows], scale, real), real, x.shape[1:])
        for rows in blocks(x, real)
    ]
    return np.concatenate(parts)


def scores_of(
    found: list[tuple[str, Any]],
    given: Samples,
    real: np.dtype[Any],
    shape: Shape | None = None,
) -> Array:
    """Return what layers do to samples in inference mode, or raise Unsupported.

    `shape` is that of a sample, if it is not a row.
    """
    fewer = folded(found, real)
    n, features = given.array.shape
    sizes = Sizes(n, config.get_num_threads(), real)
    plan = Plan(
        fewer, shape or (features,), sizes, gathered=not given.is_as_used(real), training=False
    )
    if not plan.gathered:
        plan.data.address = as_used(given, real).ctypes.data
        plan.data.local = False
    last = plan.forward()
    out = np.empty((n, last.columns), real)
    last.address, last.local = out.ctypes.data, False
    tables = Tables(plan)
    tables.read(given)
    tables.take_all(n)
    p = tables.program[0]
    p["row_threads"] = p["update_threads"] = min(sizes.threads, plan.units)
    p["taken"] = p["alone"] = _SHARED
    with interrupts.held():
        tables.run(*nothing())
    return out
