"""What ``python -m fastnn warmup`` does: call everything once, so that all code is on disk.

Which kernels a call reaches, and in which signatures, is the kernels' own business; here
stands only what users can call. The functions of each module of :mod:`fastnn.ops` have an entry in
`_CALLS`, and small networks stand for the layers and optimizers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from fastnn import ops
from fastnn._utils.types import Array
from fastnn.kernels.threading import threads
from fastnn.layers import Affine, Elu, Gelu, LeakyRelu, Silu, Softplus
from fastnn.networks import MultiLayerNetExtend, Network
from fastnn.trainer import OPTIMIZERS

DTYPES = ("float32", "float64")

# Samples, inputs and units on either side of the sizes from which on products pack their
# operands, which is other code.
SHAPES = ((2, 3, 5), (100, 40, 300), (300, 300, 30))

# Few rows, many rows, images of few and of many channels: kernels of their own.
BATCHES = ((8, 6), (600, 6), (4, 3, 5, 5), (4, 40, 5, 5))


def _array(shape: int | tuple[int, ...], dtype: str) -> Array:
    return np.random.default_rng(0).random(shape).astype(dtype)


def _activation(name: str, dtype: str) -> None:
    x = _array((4, 6), dtype)
    for form in ((), ("tanh",)) if name.startswith("gelu") else ((),):
        getattr(ops, name)(*([x, x] if name.endswith("_backward") else [x]), *form)


def _affine(name: str, dtype: str) -> None:
    for n, d, h in SHAPES:
        x, W, b, y = (_array(shape, dtype) for shape in ((n, d), (d, h), h, (n, h)))
        if not name.endswith("_backward"):
            getattr(ops, name)(x, W, b)
            continue
        outputs = [y] if name == "affine_relu_backward" else []
        for input_gradient in (True, False):
            getattr(ops, name)(y, x, W, *outputs, input_gradient=input_gradient)


def _batchnorm(name: str, dtype: str) -> None:
    for shape in BATCHES:
        x, columns = _array(shape, dtype), [_array(shape[1], dtype) for _ in range(4)]
        if not name.endswith("_backward"):
            getattr(ops, name)(x, *columns)
        else:
            y = [x] if name == "batchnorm_relu_backward" else []
            getattr(ops, name)(x, x, *columns[:3], *y)


def _patches(name: str, dtype: str) -> None:
    if name == "im2col":
        ops.im2col(_array((2, 3, 5, 5), dtype), 2, 2)
    else:
        ops.col2im(_array((32, 12), dtype), (2, 3, 5, 5), 2, 2)


def _convolution(name: str, dtype: str) -> None:
    x, W = _array((2, 3, 5, 5), dtype), _array((4, 3, 2, 2), dtype)
    if name == "convolution":
        ops.convolution(x, W, _array(4, dtype))
    else:
        ops.convolution_backward(_array((2, 4, 4, 4), dtype), x, W)


def _max_pool(name: str, dtype: str) -> None:
    x = _array((2, 3, 4, 4), dtype)
    y, argmax = ops.max_pool(x, 2, 2, 2)
    if name == "max_pool_backward":
        ops.max_pool_backward(y, argmax, x.shape, 2, 2, 2)
    elif name == "max_pool_backward_shared":
        ops.max_pool_backward_shared(y, x, y, 2, 2, 2)


def _layernorm(name: str, dtype: str) -> None:
    x, row, column = _array((8, 6), dtype), _array(6, dtype), _array(8, dtype)
    args = (x, x, row, column, column) if name == "layernorm_backward" else (x, row, row)
    getattr(ops, name)(*args)


def _loss(name: str, dtype: str) -> None:
    x = _array((4, 6), dtype)
    getattr(ops, name)(x, ops.softmax(x))
    if name == "softmax_cross_entropy":
        ops.softmax_cross_entropy(x, np.arange(4))


def _dropout(name: str, dtype: str) -> None:
    settings: dict[str, dict[str, Any]] = {
        "dropout": {"ratio": 0.5, "seed": 1},
        "dropout_backward": {"mask": np.ones((4, 6), np.bool_), "ratio": 0.5},
        "dropout_inference": {"ratio": 0.5},
    }
    getattr(ops, name)(_array((4, 6), dtype), **settings[name])


def _update(name: str, dtype: str) -> None:
    rule = _RULES[name]
    arrays = (_array(6, dtype) for _ in range(2 + len(rule.states)))
    getattr(ops, name)(*arrays, **dict.fromkeys(rule.counters, 1))


def _random(name: str, dtype: str) -> None:
    getattr(ops, name)(*([9, 9] if name == "choices" else [9]), seed=1)


_RULES = {kind.rule.name: kind.rule for kind in OPTIMIZERS.values()}

# By the module of `ops` that a function is of.
_CALLS: dict[str, Callable[[str, str], None]] = {
    "activations": _activation,
    "affine": _affine,
    "batchnorm": _batchnorm,
    "convolution": _convolution,
    "dropout": _dropout,
    "layernorm": _layernorm,
    "losses": _loss,
    "patches": _patches,
    "pooling": _max_pool,
    "random": _random,
}


def _call(name: str, dtype: str) -> None:
    """Call a function of `ops` in all ways that other code is compiled for."""
    module = getattr(ops, name).__module__.rpartition(".")[2]
    (_update if name in _RULES else _CALLS[module])(name, dtype)


def _train(activation: str, use_batchnorm: bool, use_dropout: bool, dtype: str) -> None:
    """Train a small network: a step with each of the optimizers, and by the program."""
    network = MultiLayerNetExtend(
        6, [5, 5], 4, activation, use_batchnorm=use_batchnorm, use_dropout=use_dropout, dtype=dtype
    )
    x, t = _array((8, 6), dtype), np.arange(8) % 4
    for name, optimizer in OPTIMIZERS.items():
        optimizer(lr=0.01).update(network.params, network.gradient(x, t))
        network.fit(x, t, 1, 8, name, verbose=False)
    network.accuracy(x, t)


def _train_stack(dtype: str) -> None:
    """Train a network with the activations that the book's have not, by the program."""
    kinds = LeakyRelu(), Elu(), Gelu(), Gelu("tanh"), Silu(), Softplus()
    stack = [layer for kind in kinds for layer in (Affine(5), kind)]
    network = Network([*stack, Affine(4)], input_size=6, dtype=dtype)
    network.fit(_array((8, 6), dtype), np.arange(8) % 4, 1, 8, verbose=False)


def steps(dtype: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield what to show and what to call for each thing to compile, for one dtype."""
    yield "threads", threads.prepare
    for name in ops.__all__:
        yield f"{name} {dtype}", partial(_call, name, dtype)
    kinds = product(("relu", "sigmoid", "tanh"), (False, True), (False, True))
    for activation, use_batchnorm, use_dropout in kinds:
        train = partial(_train, activation, use_batchnorm, use_dropout, dtype)
        yield f"{activation} network {dtype}", train
    yield f"other activations {dtype}", partial(_train_stack, dtype)
