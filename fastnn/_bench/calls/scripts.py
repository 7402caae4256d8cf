"""Calls that scripts of the book and of the course make, and the NumPy formulas they stand for."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn._bench.calls import formulas
from fastnn._bench.calls.arguments import arguments
from fastnn.dropin.cs231n import layer_utils, optim
from fastnn.dropin.cs231n import layers as course
from fastnn.dropin.dlfs import functions, optimizer
from fastnn.dropin.dlfs import layers as book

# Ours, and the formula.
Pair = tuple[Callable[[], Any], Callable[[], Any]]


def _values(elements: int, dtype: str) -> SimpleNamespace:
    x, W, b = arguments("affine", elements, dtype)
    dout, _ = arguments("relu_backward", elements, dtype)
    ones = np.ones_like(b)
    _, _, _, mean, rstd = arguments("batchnorm_backward", elements, dtype)
    running = np.zeros_like(b), np.ones_like(b)
    return SimpleNamespace(
        x=x, W=W, b=b, dout=dout, ones=ones, mean=mean, rstd=rstd, running=running
    )


def _softmax_of_row(v: Any) -> Pair:
    row = v.x.ravel()

    def formula() -> Any:
        powers = np.exp(row - np.max(row))
        return powers / np.sum(powers)

    return lambda: functions.softmax(row), formula


def _relu_backward(v: Any) -> Pair:
    layer, ours, theirs = book.Relu(), v.dout.copy(), v.dout.copy()
    layer.forward(v.x)
    mask = v.x <= 0

    def formula() -> Any:
        theirs[mask] = 0
        return theirs

    return lambda: layer.backward(ours), formula


def _sigmoid_backward(v: Any) -> Pair:
    layer = book.Sigmoid()
    y = layer.forward(v.x)
    return lambda: layer.backward(v.dout), lambda: formulas.sigmoid_backward(v.dout, y)


def _affine_forward(v: Any) -> Pair:
    layer = book.Affine(v.W, v.b)
    return lambda: layer.forward(v.x), lambda: formulas.affine(v.x, v.W, v.b)


def _affine_backward(v: Any) -> Pair:
    layer = book.Affine(v.W, v.b)
    layer.forward(v.x)
    return lambda: layer.backward(v.dout), lambda: formulas.affine_backward(v.dout, v.x, v.W)[0]


def _book_norm(v: Any) -> Pair:
    # In the book's own type: with others, the layer itself is NumPy's formula.
    given = [np.asarray(a, np.float64) for a in (v.x, v.ones, v.b, *v.running)]
    x, gamma, beta, *_ = given
    layer = book.BatchNormalization(gamma, beta)
    return lambda: layer.forward(x), lambda: formulas.batchnorm(*given)[0]


def _course_norm(v: Any) -> Pair:
    settings = {"mode": "train", "eps": 1e-6}
    given = v.x, v.ones, v.b
    return (
        lambda: course.batchnorm_forward(*given, settings)[0],
        lambda: formulas.batchnorm(*given, *v.running)[0],
    )


def _of_course(name: str, formula: Callable[..., Any], *names: str) -> Callable[[Any], Pair]:
    """Return what makes the pair of a backward function, by the arguments of the forward one."""
    module = layer_utils if "affine_relu" in name else course

    def make(v: Any) -> Pair:
        forward, backward = (getattr(module, f"{name}_{way}") for way in ("forward", "backward"))
        y, cache = forward(*(getattr(v, key) for key in names))
        v.y = y
        given = formula(v)
        return lambda: backward(v.dout, cache), given

    return make


def _update(kind: type, formula: Callable[..., None], states: int, *step: int) -> Any:
    """Return what makes the pair of an optimizer of the book, for one parameter."""

    def make(v: Any) -> Pair:
        ours, given, chosen = {"W": v.x.copy()}, {"W": v.dout}, kind()
        theirs = v.x.copy(), v.dout, *(np.zeros_like(v.x) for _ in range(states)), *step
        return lambda: chosen.update(ours, given), lambda: formula(*theirs)

    return make


def _descent(v: Any) -> Pair:
    ours, theirs, settings = v.x.copy(), v.x.copy(), {"learning_rate": 1e-2}
    return lambda: optim.sgd(ours, v.dout, settings)[0], lambda: formulas.sgd_(theirs, v.dout)


# By what they are called: book's in `common`, course's in `cs231n`.
PAIRS: dict[str, Callable[[Any], Pair]] = {
    "sigmoid": lambda v: (lambda: functions.sigmoid(v.x), lambda: formulas.sigmoid(v.x)),
    "relu": lambda v: (lambda: functions.relu(v.x), lambda: formulas.relu(v.x)),
    "softmax": lambda v: (lambda: functions.softmax(v.x), lambda: formulas.softmax(v.x)),
    "softmax of one row": _softmax_of_row,
    "Relu.backward": _relu_backward,
    "Sigmoid.backward": _sigmoid_backward,
    "Affine.forward": _affine_forward,
    "Affine.backward": _affine_backward,
    "BatchNormalization.forward": _book_norm,
    "SGD.update": _update(optimizer.SGD, formulas.sgd_, 0),
    "Momentum.update": _update(optimizer.Momentum, formulas.momentum_, 1),
    "AdaGrad.update": _update(optimizer.AdaGrad, formulas.adagrad_, 1),
    "RMSprop.update": _update(optimizer.RMSprop, formulas.rmsprop_, 1),
    "Adam.update": _update(optimizer.Adam, formulas.adam_, 2, 1),
    "relu_forward": lambda v: (lambda: course.relu_forward(v.x)[0], lambda: formulas.relu(v.x)),
    "relu_backward": _of_course("relu", lambda v: lambda: formulas.relu_backward(v.dout, v.y), "x"),
    "affine_forward": lambda v: (
        lambda: course.affine_forward(v.x, v.W, v.b)[0],
        lambda: formulas.affine(v.x, v.W, v.b),
    ),
    "affine_backward": _of_course(
        "affine", lambda v: lambda: formulas.affine_backward(v.dout, v.x, v.W), "x", "W", "b"
    ),
    "affine_relu_backward": _of_course(
        "affine_relu",
        lambda v: lambda: formulas.affine_relu_backward(v.dout, v.x, v.W, v.y),
        "x",
        "W",
        "b",
    ),
    "batchnorm_forward": _course_norm,
    "sgd": _descent,
}


def pair(name: str, elements: int, dtype: str) -> Pair:
    """Return our call and the formula, for an x of so many elements."""
    return PAIRS[name](_values(elements, dtype))
