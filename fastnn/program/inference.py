"""Scores of many samples in one call of compiled code.

Blocks of samples go through all layers before the next block does, so that nothing but the scores
has a row for each sample. What batch normalisation and dropout do at test time is put into the
weights of the affine layer beside them. That changes results by rounding errors of the size of
those of the product itself: each weight is rounded once more.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from fastnn import layers
from fastnn._utils import interrupts
from fastnn._utils.types import Array
from fastnn.kernels.program.run import run
from fastnn.kernels.program.tables import UNIT
from fastnn.kernels.threading import threads
from fastnn.kernels.tuning import COMMON
from fastnn.layers.state import forget
from fastnn.program.data import Samples, as_used, samples
from fastnn.program.executor import Unsupported
from fastnn.program.parameters import known_layers
from fastnn.program.plan import Plan, Sizes
from fastnn.program.tables import Tables, expect_known

# Operations from which on a call is worth its plan, which takes half a millisecond.
WORTH = COMMON.scores_worth

# As the number of steps that were taken, and as the nanoseconds that one takes alone: the only
# step there is is then shared.
_SHARED = (1 << 62) + 1


def scores(network: Any, x: Array) -> Array | None:
    """Return what ``network.predict(x)`` does in inference mode, or None if it is not for this.

    Layers forget what they have kept for a backward pass.
    """
    work = 2 * len(x) * sum(p.size for p in network.params.values())
    if work < WORTH:
        return None
    try:
        found = known_layers(network)
        result = scores_of(found, samples(x, network.input_scale, network.dtype), network.dtype)
    except Unsupported:
        return None
    for _, layer in found:
        forget(layer)
    return result


def scores_of(found: list[tuple[str, Any]], given: Samples, real: np.dtype[Any]) -> Array:
    """Return what layers do to samples in inference mode, or raise Unsupported."""
    return _scores(_folded(found, real), given, real)


def _scores(found: list[tuple[str, Any]], given: Samples, real: np.dtype[Any]) -> Array:
    n, features = given.array.shape
    sizes = Sizes(n, threads.get_num_threads(), real)
    plan = Plan(found, features, sizes, gathered=not given.is_as_used(real), training=False)
    if not plan.gathered:
        plan.data.address = as_used(given, real).ctypes.data
        plan.data.local = False
    last = plan.forward()
    out = np.empty((n, last.columns), real)
    last.address, last.local = out.ctypes.data, False
    tables = Tables(plan)
    p = tables.program[0]
    p["data"], p["data_step"] = given.array.ctypes.data, given.array.strides[0]
    p["data_kind"], p["data_scale"], p["features"] = given.kind, given.scale, features
    p["batch"] = p["rows"] = n
    p["row_threads"] = p["update_threads"] = sizes.threads
    p["taken"] = p["alone"] = _SHARED
    helpers = min(sizes.threads, -(-n // UNIT)) - 1
    with interrupts.held(), threads.awake(helpers):
        run(tables.program, tables.segments, np.zeros((1, 0)), np.zeros(1), np.zeros(1, np.int64))
    expect_known(tables.program)
    return out


def _folded(found: list[tuple[str, Any]], real: np.dtype[Any]) -> list[tuple[str, Any]]:
    """Return layers that do at test time what these do, without batch norm and dropout."""
    result: list[tuple[str, Any]] = []
    factor = 1.0  # of the input of the next affine layer
    for name, layer in found:
        kind = type(layer)
        if kind is layers.Dropout:
            factor *= 1.0 if layer.inverted else 1 - layer.dropout_ratio
        elif kind in (layers.Affine, layers.AffineRelu):
            if any(type(p) is not np.ndarray or p.dtype != real for p in (layer.W, layer.b)):
                raise Unsupported(f"{name} has parameters that are not arrays of {real}")
            W = layer.W if factor == 1 else layer.W * real.type(factor)
            folded = copy.copy(layer)
            folded.W, folded.b = np.ascontiguousarray(W), np.ascontiguousarray(layer.b)
            result.append((name, folded))
            factor = 1.0
        elif factor != 1:
            raise Unsupported(f"{name} follows dropout")
        elif kind in (layers.BatchNormalization, layers.BatchNormRelu):
            if not result or type(result[-1][1]) is not layers.Affine:
                raise Unsupported(f"{name} does not follow an affine layer")
            result[-1] = result[-1][0], _normalised(result[-1][1], layer)
        else:
            result.append((name, layer))
    if factor != 1:
        raise Unsupported("dropout is the last layer")
    return result


def _normalised(affine: layers.Affine, norm: layers.BatchNormalization) -> layers.Affine:
    """Return one layer for an affine layer and batch normalisation after it."""
    if norm.running_mean is None or norm.running_var is None:
        raise Unsupported("batch normalisation has no statistics yet")
    of_norm = norm.gamma, norm.beta, norm.running_mean, norm.running_var
    if any(np.shape(array) != affine.b.shape for array in of_norm):
        raise Unsupported("batch normalisation is of another width")
    with np.errstate(all="ignore"):
        slope = norm.gamma / np.sqrt(norm.running_var + norm.running_var.dtype.type(norm.eps))
        W = affine.W * slope
        b = (affine.b - norm.running_mean) * slope + norm.beta
    if W.dtype != affine.W.dtype or not (np.isfinite(W).all() and np.isfinite(b).all()):
        raise Unsupported("weights with batch normalisation in them are out of range")
    kind = layers.AffineRelu if type(norm) is layers.BatchNormRelu else layers.Affine
    return kind(W, np.ascontiguousarray(b, W.dtype))
