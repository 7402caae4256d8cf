"""All cases of the other modules by name, with the work that each of them does."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise, product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from . import (
    activations,
    affine,
    batchnorm,
    calls,
    convolution,
    dropin,
    ensembles,
    estimators,
    layernorm,
    losses,
    optimizers,
    orders,
    training,
)
from .common import DTYPES


class Case(NamedTuple):
    """A case: its family, what makes the call, and its work if that limits it.

    `kind` is its name without sizes and dtype; `amount` is the floating-point operations of matrix
    products (`unit` "flops"), or the bytes that are read and written at least (`unit` "bytes").
    """

    family: str
    kind: str
    make: Callable[[], Callable[[], Any]]
    dtype: str
    unit: str = ""
    amount: int = 0


def _affine(products):
    return "flops", lambda shape: 2 * products * prod(shape)


def _convolution(products):
    def work(shape):
        (n, c, h, w), f, side, pad = shape
        places = (h + 2 * pad - side + 1) * (w + 2 * pad - side + 1)
        return 2 * products * n * f * places * c * side * side

    return "flops", work


def _passes(count):
    """Return the work of a case that passes so many times over arrays of its shape."""
    return "bytes", lambda *args: count * prod(args[-1])


# p and g are read, p is written, and each state is read and written.
_UPDATE = {
    "SGD": 3, "Momentum": 5, "Nesterov": 5, "AdaGrad": 5, "RMSProp": 5, "Adam": 7,
    "NAdam": 7, "Adamax": 7, "AMSGrad": 9, "Lion": 5,
}  # fmt: skip


def _epoch(optimizer, normalization):
    sizes = [784, *[100] * 4, 10]
    weights = [d * h for d, h in pairwise(sizes)]
    # Forward, dW and dx; the first layer's dx is not computed.
    return 2 * (3 * sum(weights) - weights[0]) * training.BATCH * training.STEPS


# What batch normalisation passes over: x twice and y; x and y; dout and x twice, and dx. With
# ReLU the backward pass reads y as often as dout.
_AXES = [
    ("affine", affine.forward, [affine.SHAPES], *_affine(1)),
    ("affine", affine.backward, [affine.SHAPES], *_affine(2)),
    ("convolution", convolution.forward, [convolution.SHAPES], *_convolution(1)),
    ("convolution", convolution.backward, [convolution.SHAPES], *_convolution(2)),
    ("pooling", convolution.pool, [convolution.POOLED]),
    ("pooling", convolution.pool_backward, [convolution.POOLED]),
    ("patches", convolution.im2col, [convolution.PATCHED]),
    ("patches", convolution.col2im, [convolution.PATCHED]),
    ("batchnorm", batchnorm.forward, [batchnorm.SHAPES], *_passes(3)),
    ("batchnorm", batchnorm.inference, [batchnorm.SHAPES], *_passes(2)),
    ("batchnorm", batchnorm.backward, [batchnorm.SHAPES], *_passes(5)),
    ("batchnorm", batchnorm.relu_forward, [batchnorm.SHAPES], *_passes(3)),
    ("batchnorm", batchnorm.relu_backward, [batchnorm.SHAPES], *_passes(7)),
    ("layernorm", layernorm.forward, [layernorm.SHAPES], *_passes(2)),
    ("layernorm", layernorm.backward, [layernorm.SHAPES], *_passes(3)),
    ("activations", activations.forward, [activations.FUNCTIONS, activations.SHAPES], *_passes(2)),
    ("activations", activations.backward, [activations.BACKWARD, activations.SHAPES], *_passes(3)),
    ("losses", losses.loss, [losses.LOSSES, losses.SHAPES], *_passes(2)),
    (
        *("optimizers", optimizers.update, [optimizers.OPTIMIZERS, optimizers.SIZES]),
        *("bytes", lambda optimizer, size: _UPDATE[optimizer] * size),
    ),
    ("optimizers", optimizers.update_network, [optimizers.OPTIMIZERS]),
    ("calls", calls.call, [calls.FUNCTIONS]),
    ("orders", orders.order, [orders.METHODS, orders.SIZES]),
    ("training", training.step, [training.OPTIMIZERS, training.NORMALIZATIONS]),
    ("training", training.epoch, [training.OPTIMIZERS, training.NORMALIZATIONS], "flops", _epoch),
    ("training", training.watched, [training.EVERY]),
    ("training", training.with_loss, [training.LOSSES]),
    ("estimators", estimators.epoch, [estimators.SOLVERS]),
    ("estimators", estimators.predict, [estimators.COUNTS]),
    ("ensembles", ensembles.predict, []),
    ("ensembles", ensembles.distilled, [ensembles.TEMPERATURES]),
    ("dropin", dropin.step, [dropin.SCRIPTS]),
]


# Integers; as in the book; the same checks for any.
_DTYPES = {orders.order: [""], dropin.step: ["float64"], calls.call: ["float32"]}


def _cases():
    for family, make, axes, *work in _AXES:
        module = make.__module__.rpartition(".")[2]
        for *args, dtype in product(*axes, _DTYPES.get(make, DTYPES)):
            given = [*args, dtype] if make not in _DTYPES else args
            kind = " ".join((f"{module}.{make.__name__}", *(a for a in args if isinstance(a, str))))
            name = " ".join(map(str, (f"{module}.{make.__name__}", *args, dtype))).strip()
            unit, count = work or ("", None)
            amount = 0
            if count:
                amount = count(*args) * (np.dtype(dtype).itemsize if unit == "bytes" else 1)
            yield name, Case(family, kind, partial(make, *given), dtype, unit, amount)


CASES = dict(_cases())

# What ratios are measured of. To keep the suite short, double precision is where it is other code
# (matrix products), or what users see (training, scripts).
_DOUBLE = ("affine", "convolution", "training", "dropin")
RATED = [name for name, case in CASES.items() if case.dtype != "float64" or case.family in _DOUBLE]
# Below some 100 kB or kflop, a microsecond at most, the limit says nothing: a call is longer.
_LEAST = 100_000
LIMITED = [
    name for name in RATED if CASES[name].amount >= _LEAST and CASES[name].dtype == "float32"
]

# Where threads share the work, each kind at its largest.
SHARED = [
    max((name for name in LIMITED if CASES[name].kind == kind), key=lambda name: CASES[name].amount)
    for kind in dict.fromkeys(CASES[name].kind for name in LIMITED)
]
