"""Arguments of the functions of :mod:`fastnn.ops`, in any size, by the names that they have there.

Functions are found from the package. What one of them asks for and nothing here makes is a
KeyError, and fails a test.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastnn import ops

# Elements of x and the shapes that x has: as rows, and as images.
SHAPES = {
    1: ((1, 1), (1, 1, 1, 1)),
    10: ((1, 10), (1, 1, 2, 5)),
    100: ((10, 10), (1, 1, 10, 10)),
    1_000: ((10, 100), (1, 10, 10, 10)),
    10_000: ((100, 100), (10, 10, 10, 10)),
    100_000: ((1000, 100), (100, 10, 10, 10)),
}
WINDOW, PAD = 3, 1  # of a convolution: as many places as the image has pixels
POOL = 2
OUTPUTS = {"out", "dx", "dW", "db", "dgamma", "dbeta", "argmax", "mask"}

Values = dict[str, Any]


def module(name: str) -> str:
    """Return the module of ``ops`` that a function stands in, or "updates" for a rule."""
    return getattr(ops, name).__module__.removeprefix("fastnn.ops.").partition(".")[0]  # type: ignore[no-any-return]


def _draw(shape: int | tuple[int, ...], dtype: str, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def _rows(name: str, elements: int, dtype: str) -> Values:
    shape = SHAPES[elements][0]
    _, width = shape
    x = _draw(shape, dtype)
    axis = 1 if module(name) == "layernorm" else 0
    return {
        "x": x,
        "dout": _draw(shape, dtype, 1),
        "y": np.maximum(x, 0),
        "W": _draw((width, width), dtype, 2),
        **{key: _draw(width, dtype, 3) for key in ("b", "gamma", "beta", "running_mean")},
        "running_var": np.ones(width, dtype),
        "mean": x.mean(axis=axis),
        "rstd": 1 / np.sqrt(x.var(axis=axis) + np.asarray(1e-3, dtype)),
        "mask": _draw(shape, "float64", 4) > 0,
        "ratio": 0.5,
        "seed": 0,
        "t": _targets(name, shape, dtype),
    }


def _targets(name: str, shape: tuple[int, int], dtype: str) -> Any:
    if name == "softmax_cross_entropy":
        return np.arange(shape[0]) % shape[1]
    t = _draw(shape, dtype, 5)
    if name == "binary_cross_entropy":
        return (t > 0).astype(dtype)
    return np.abs(t) if name == "poisson" else t


def _convolution(name: str, elements: int, dtype: str) -> Values:
    shape = SHAPES[elements][1]
    channels = shape[1]
    return {
        "x": _draw(shape, dtype),
        "W": _draw((channels, channels, WINDOW, WINDOW), dtype, 1),
        "b": _draw(channels, dtype, 2),
        "dout": _draw(shape, dtype, 3),
        "col": _draw((elements // channels, channels * WINDOW**2), dtype, 4),
        "input_shape": shape,
        "filter_h": WINDOW,
        "filter_w": WINDOW,
        "stride": 1,
        "pad": PAD,
    }


def _pooling(name: str, elements: int, dtype: str) -> Values:
    x = _draw(SHAPES[elements][1], dtype)
    side = min(POOL, x.shape[2])
    y, argmax = ops.max_pool(x, side, side, side)
    return {
        "x": x,
        "y": y,
        "dout": _draw(y.shape, dtype, 1),
        "argmax": argmax,
        "input_shape": x.shape,
        "pool_h": side,
        "pool_w": side,
        "stride": side,
    }


def _random(name: str, elements: int, dtype: str) -> Values:
    return {"n": elements, "size": elements, "seed": 0}


def _update(name: str, elements: int, dtype: str) -> Values:
    p, g = _draw(elements, dtype), _draw(elements, dtype, 1)
    zeros = {key: np.zeros(elements, dtype) for key in ("m", "v", "h", "u", "v_max")}
    return {"p": p, "g": g, **zeros, "step": 1, "mu_product": 0.9}


_MAKERS: dict[str, Callable[[str, int, str], Values]] = {
    "activations": _rows,
    "affine": _rows,
    "batchnorm": _rows,
    "convolution": _convolution,
    "dropout": _rows,
    "layernorm": _rows,
    "losses": _rows,
    "patches": _convolution,
    "pooling": _pooling,
    "random": _random,
    "updates": _update,
}


def arguments(name: str, elements: int, dtype: str) -> tuple[Any, ...]:
    """Return the positional arguments of a function of ``ops`` for an x of so many elements.

    Settings stand at their defaults but for strides and padding, and no output is given.
    """
    found = _MAKERS[module(name)](name, elements, dtype)
    outputs = _optional_arrays(name)
    signature = inspect.signature(getattr(ops, name))
    given: list[Any] = []
    for key, parameter in signature.parameters.items():
        if key in outputs or parameter.kind is parameter.KEYWORD_ONLY:
            break
        if parameter.default is parameter.empty or key in found:
            given.append(found[key])
    return tuple(given)


def _optional_arrays(name: str) -> list[str]:
    signature = inspect.signature(getattr(ops, name))
    return [k for k, p in signature.parameters.items() if k in OUTPUTS and p.default is None]


def with_outputs(name: str, elements: int, dtype: str) -> Callable[[], Any]:
    """Return a call of a function of ``ops`` that has a place for each of its results."""
    call = partial(getattr(ops, name), *arguments(name, elements, dtype))
    results = call()
    several = results if isinstance(results, tuple) else (results,)
    arrays = [r for r in several if isinstance(r, np.ndarray)]
    return partial(call, **dict(zip(_optional_arrays(name), arrays, strict=False)))
