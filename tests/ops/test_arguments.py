"""Every function of `ops`: inputs keep their bytes, and outputs that do not fit are refused.

Functions are found in the package, and from their documentation what they write to: arguments that
are "updated", and those that say "Where to put" a result. Only how to call them stands here.
"""

import inspect
import itertools
import re

import numpy as np
import pytest

from fastnn import config, ops

# Samples, features or channels, height and width: a reshape of one with a length of 1 is a view.
SIZES = [(1, 1, 1), (1, 3, 2), (3, 1, 2), (3, 2, 1), (1, 1, 4), (2, 3, 4)]


class Draw:
    """Makes arguments of some size."""

    def __init__(self, n, d, side):
        self.rng = np.random.default_rng((n, d, side))
        self.n, self.d, self.side = n, d, side

    def numbers(self, *shape):
        return self.rng.standard_normal(shape)

    def rows(self):
        return self.numbers(self.n, self.d)

    def features(self):
        return np.abs(self.numbers(self.d)) + 0.1

    def images(self):
        return self.numbers(self.n, self.d, self.side, self.side)

    def like(self, *names):
        return {name: self.rows() for name in names}


def activation(draw):
    return draw.like("x")


def of_output(draw):
    return draw.like("dout", "y")


def of_input(draw):
    return draw.like("dout", "x")


def affine(draw):
    return {"x": draw.rows(), "W": draw.numbers(draw.d, 2), "b": draw.numbers(2)}


def affine_backward(draw):
    made = {"dout": draw.numbers(draw.n, 2), "x": draw.rows(), "W": draw.numbers(draw.d, 2)}
    return made | {"input_gradient": bool(draw.side % 2)}


def affine_relu_backward(draw):
    return affine_backward(draw) | {"y": draw.numbers(draw.n, 2)}


def batch(draw):
    return draw.images() if draw.side > 1 else draw.rows()


def batchnorm_inference(draw):
    names = "gamma", "beta", "running_mean", "running_var"
    return {"x": batch(draw)} | {name: draw.features() for name in names}


def batchnorm_backward(draw):
    names = "gamma", "mean", "rstd"
    return {"dout": batch(draw), "x": batch(draw)} | {name: draw.features() for name in names}


def batchnorm_relu_backward(draw):
    return batchnorm_backward(draw) | {"y": batch(draw)}


def convolution(draw):
    return {"x": draw.images(), "W": draw.numbers(2, draw.d, 1, 1), "b": draw.numbers(2)}


def convolution_backward(draw):
    made = {"dout": draw.numbers(draw.n, 2, draw.side, draw.side), "x": draw.images()}
    return made | {"W": draw.numbers(2, draw.d, 1, 1), "input_gradient": draw.n > 1}


def dropout(draw):
    return draw.like("x") | {"ratio": 0.5, "seed": 1}


def dropout_backward(draw):
    return draw.like("dout") | {"mask": draw.rows() > 0, "ratio": 0.5}


def layernorm(draw):
    return {"x": draw.rows(), "gamma": draw.features(), "beta": draw.features()}


def layernorm_backward(draw):
    rows = {name: np.abs(draw.numbers(draw.n)) for name in ("mean", "rstd")}
    return draw.like("dout", "x") | {"gamma": draw.features()} | rows


def softmax_cross_entropy(draw):
    if draw.side > 1:
        return {"x": draw.rows(), "t": np.full((draw.n, draw.d), 1 / draw.d)}
    return {"x": draw.rows(), "t": np.arange(draw.n) % draw.d}


def pooled(draw):
    return (draw.n, draw.d, -(-draw.side // 2), -(-draw.side // 2))


def window(draw):
    return {"pool_h": min(2, draw.side), "pool_w": min(2, draw.side)}


def max_pool(draw):
    return {"x": draw.images()} | window(draw)


def max_pool_backward(draw):
    made = {"dout": draw.numbers(*pooled(draw)), "argmax": np.zeros(pooled(draw), np.int32)}
    return made | {"input_shape": draw.images().shape} | window(draw)


def max_pool_backward_shared(draw):
    x = draw.images()
    y = ops.max_pool(x, *window(draw).values())[0]
    return {"dout": draw.numbers(*pooled(draw)), "x": x, "y": y} | window(draw)


def im2col(draw):
    return {"x": draw.images(), "filter_h": 1, "filter_w": 1}


def col2im(draw):
    shape = draw.images().shape
    places = draw.n * draw.side**2
    return {"col": draw.numbers(places, draw.d), "input_shape": shape, "filter_h": 1, "filter_w": 1}


def random(draw):
    return {"n": draw.n, "seed": 1}


def choices(draw):
    return random(draw) | {"size": draw.d}


def update(*states, **others):
    def make(draw):
        return {name: np.abs(draw.rows()) for name in ("p", "g", *states)} | others

    return make


def binary_cross_entropy(draw):
    return {"x": draw.rows(), "t": (draw.rows() > 0).astype(float)}


def poisson(draw):
    return {"x": draw.rows(), "t": np.abs(draw.rows())}


ARGUMENTS = {
    "adagrad_": update("h"),
    "adam_": update("m", "v", step=1),
    "adamax_": update("m", "u", step=1),
    "affine": affine,
    "affine_backward": affine_backward,
    "affine_relu": affine,
    "affine_relu_backward": affine_relu_backward,
    "amsgrad_": update("m", "v", "v_max", step=1),
    "batchnorm": batchnorm_inference,
    "batchnorm_backward": batchnorm_backward,
    "batchnorm_inference": batchnorm_inference,
    "batchnorm_relu": batchnorm_inference,
    "batchnorm_relu_backward": batchnorm_relu_backward,
    "batchnorm_relu_inference": batchnorm_inference,
    "binary_cross_entropy": binary_cross_entropy,
    "choices": choices,
    "col2im": col2im,
    "convolution": convolution,
    "convolution_backward": convolution_backward,
    "dropout": dropout,
    "dropout_backward": dropout_backward,
    "dropout_inference": lambda draw: draw.like("x") | {"ratio": 0.5},
    "gelu_backward": of_input,
    "huber": lambda draw: draw.like("x", "t"),
    "im2col": im2col,
    "layernorm": layernorm,
    "layernorm_backward": layernorm_backward,
    "lion_": update("m"),
    "max_pool": max_pool,
    "max_pool_backward": max_pool_backward,
    "max_pool_backward_shared": max_pool_backward_shared,
    "mean_squared_error": lambda draw: draw.like("x", "t"),
    "momentum_": update("v"),
    "nadam_": update("m", "v", step=1, mu_product=1.0),
    "nesterov_": update("v"),
    "permutation": random,
    "poisson": poisson,
    "rmsprop_": update("h"),
    "sgd_": update(),
    "silu_backward": of_input,
    "softmax_cross_entropy": softmax_cross_entropy,
} | {
    name: of_output if name.endswith("_backward") else activation
    for kind in ("elu", "leaky_relu", "relu", "sigmoid", "softplus", "tanh")
    for name in (kind, f"{kind}_backward")
} | dict.fromkeys(("gelu", "silu", "softmax"), activation)  # fmt: skip


def documented(function, words):
    """Return the parameters of which the documentation has some words."""
    text = inspect.getdoc(function).split("Parameters\n----------\n")[1].split("\n\n")[0]
    found = set()
    for match in re.finditer(r"^(\w[\w, ]*?)(?: :.*)?\n((?:    .*\n?)+)", text, re.MULTILINE):
        said, names = " ".join(match[2].split()), set(match[1].split(", "))
        if other := re.match(r"As for :func:`(\w+)`", said):
            found |= names & documented(getattr(ops, other[1]), words)
        elif words in said:
            found |= names
    return found


def outputs(function):
    """Return the arguments for results, which may be left out."""
    parameters = inspect.signature(function).parameters.items()
    return {name for name, parameter in parameters if parameter.default is None} - {
        "stride",
        "weights",
    }


def test_every_function_is_called_here():
    assert set(ARGUMENTS) == set(ops.__all__)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("name", sorted(ops.__all__))
def test_inputs_keep_their_bytes(name, backend):
    function = getattr(ops, name)
    written = documented(function, "updated")
    assert bool(written) == (name.endswith("_") or name in ("batchnorm", "batchnorm_relu"))
    for size, dtype, how in itertools.product(SIZES, "fd", ("plain", "read-only", "view")):
        given, memory = {}, {}
        for key, value in ARGUMENTS[name](Draw(*size)).items():
            array = isinstance(value, np.ndarray)
            if array and value.dtype.kind == "f":
                value = value.astype(dtype)
            if array and key not in written:
                if how == "view":  # of something larger, whose other bytes count too
                    wide = np.full((value.shape[0] + 2, *value.shape[1:]), 7, value.dtype)
                    wide[1:-1] = value
                    value = wide[1:-1]
                memory[key] = value if value.base is None else value.base
                if how == "read-only":
                    value.flags.writeable = False
            given[key] = value
        before = {key: array.tobytes() for key, array in memory.items()}
        with config.use_backend(backend):
            function(**given)
        changed = [key for key, array in memory.items() if array.tobytes() != before[key]]
        assert not changed, f"{changed} written to: {size}, {dtype}, {how}"


def bad_outputs(good):
    """Yield what is no array for a result like `good`, and the error for it."""
    read_only = good.copy()
    read_only.flags.writeable = False
    yield [1, 2], TypeError
    yield "out", TypeError
    yield 3.0, TypeError
    yield good.astype("f2"), TypeError
    yield np.empty((*good.shape, 1), good.dtype), ValueError
    yield read_only, ValueError


@pytest.mark.parametrize("name", sorted(ops.__all__))
def test_outputs_that_do_not_fit(name):
    function = getattr(ops, name)
    places = outputs(function)
    assert places == documented(function, "Where to put")
    for place, number in itertools.product(places, range(6)):
        for flags in ({}, {"input_gradient": False}):
            arguments = ARGUMENTS[name](Draw(2, 3, 4))
            if flags and "input_gradient" not in arguments:
                continue
            shape, dtype = result_like(place, arguments, function)
            bad, error = [*bad_outputs(np.zeros(shape, dtype))][number]
            arrays = {k: a for k, a in arguments.items() if isinstance(a, np.ndarray)}
            before = {k: a.tobytes() for k, a in arrays.items()}
            with pytest.raises(error, match=f"^{place}: expected "):
                function(**arguments | flags | {place: bad})
            assert {k: a.tobytes() for k, a in arrays.items()} == before


def result_like(place, arguments, function):
    """Return shape and dtype of a result."""
    arguments = {k: a.copy() if isinstance(a, np.ndarray) else a for k, a in arguments.items()}
    if "input_gradient" in arguments:
        arguments["input_gradient"] = True
    result = function(**arguments)
    if not isinstance(result, tuple):
        return result.shape, result.dtype
    names = ["dx", "dW", "db"] if "W" in arguments else ["dx", "dgamma", "dbeta"]
    if place in names:
        results = [a for a in result if isinstance(a, np.ndarray)]
        one = results[names.index(place)] if len(results) == 3 else results[-1]
    else:
        one = result[0] if place == "out" else result[1]
    return one.shape, one.dtype
