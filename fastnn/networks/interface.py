"""What checks ask of a network: ours, or a user's with the interface of the book."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array, Int64s
from fastnn.layers.adoption import is_ours, refresh
from fastnn.layers.record import takes
from fastnn.layers.state import layer_state, named_layers, set_layer_state
from fastnn.ops._targets import are_rows, largest
from fastnn.training.data import expect_finite
from fastnn.training.data import samples as samples_for

PENALTY = "weight_decay_lambda"  # the attribute with its strength, in the book

_SEED = 20141  # of NumPy's global generator, for layers that draw from it


def expect_trainable(network: Any, x: ArrayLike) -> None:
    """Raise TypeError if it is no network; give it the sizes of samples if it has none."""
    refresh(network, x)
    params = getattr(network, "params", None)
    arrays = isinstance(params, Mapping) and all(
        isinstance(p, np.ndarray) and p.dtype.kind == "f" for p in params.values()
    )
    methods = [callable(getattr(network, name, None)) for name in ("loss", "gradient")]
    if isinstance(network, type) or not (params and arrays and all(methods)):
        raise TypeError(
            "network: expected an object with params (a dict of floating-point arrays), "
            f"loss(x, t) and gradient(x, t), got {network!r}"
        )


def expect_samples(network: Any, x: ArrayLike, t: ArrayLike) -> tuple[Array, Array]:
    """Return samples, which are finite, and as many targets as arrays, checked as `fit` does."""
    if is_ours(network):
        return samples_for(network, x, t)
    x, t = np.asarray(x), np.asarray(t)
    if x.ndim < 1 or len(x) == 0:
        raise ValueError(f"x: expected at least one sample, got shape {x.shape}")
    if t.ndim < 1 or len(t) != len(x):
        raise ValueError(f"t: expected {len(x)} targets, one per sample of x, got shape {t.shape}")
    expect_finite("x", x)
    return x, t


def expect(
    network: Any, x: ArrayLike, t: ArrayLike, samples: SupportsIndex | None
) -> tuple[Array, Array]:
    """Return the first samples and their targets, all if `samples` is None."""
    expect_trainable(network, x)
    if not callable(getattr(network, "predict", None)):
        raise TypeError(f"network: expected an object with predict(x), got {network!r}")
    x, t = expect_samples(network, x, t)
    count = None if samples is None else numbers.integer("samples", samples, 1)
    return x[:count], t[:count]


def in_training(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method as called in training: with ``train_flg=True`` if it knows of that."""
    if "train_flg" in inspect.signature(method).parameters:
        return partial(method, train_flg=True)
    return method


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Put the state of NumPy's global generator back at the end; also a decorator."""
    state = np.random.get_state()  # noqa: NPY002 (the book's dropout draws from it)
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


@contextmanager
def repeatable(network: Any) -> Iterator[None]:
    """Seed what is random in a training pass; undo at the end what it changes in the layers.

    NumPy's global generator stays seeded: see :func:`random_state_kept`.
    """
    before = layer_state(network)
    np.random.seed(_SEED)  # noqa: NPY002
    try:
        yield
    finally:
        set_layer_state(network, before)


def training_loss(network: Any, x: Array, t: Array) -> Callable[[], float]:
    """Return a function that returns the loss as in training, penalty included, repeatably."""
    loss = in_training(network.loss)

    def evaluate() -> float:
        with repeatable(network):
            return float(loss(x, t))

    return evaluate


def strength(network: Any, penalty: str) -> float | None:
    """Return the strength of the weight penalty, or None if there is no such attribute."""
    value = getattr(network, penalty, None)
    return float(value) if isinstance(value, (int, float, np.number)) else None


def without_penalty(network: Any, penalty: str) -> Any:
    """Return a copy of a network, its penalty turned off."""
    copied = copy.deepcopy(network)
    if strength(copied, penalty) is not None:
        setattr(copied, penalty, 0.0)
    return copied


def turn_off_dropout(network: Any) -> None:
    """Let dropout layers keep everything."""
    for layer in named_layers(network).values():
        if hasattr(layer, "dropout_ratio"):
            layer.dropout_ratio = 0.0


def is_regression(network: Any) -> bool:
    """Return whether the loss is known to take numbers for targets."""
    return takes(network) in ("numbers", "counts")


def labels_of(t: Array) -> Int64s | None:
    """Return labels from labels or one-hot targets; None if they are neither."""
    known = are_rows(t) or (t.size == len(t) and t.dtype.kind in "iu")
    return largest(t) if known else None


def batches(n: int, batch_size: int, steps: int, seed: int) -> Iterator[Int64s]:
    """Yield which samples each step takes: all of them once, in random order, and again."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    for _ in range(steps):
        if len(order) < min(batch_size, n):
            order = np.concatenate([order, rng.permutation(n)])
        yield order[:batch_size]
        order = order[batch_size:]
