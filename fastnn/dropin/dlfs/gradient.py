"""``common.gradient``: gradients by centred differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["np", "numerical_gradient", "numerical_gradient_2d"]

_H = 1e-4


def _difference(
    f: Callable[[Any], Any], x: Any, index: Any, argument: Any, number: Callable[[Any], Any] = float
) -> Any:
    """Return the centred difference of f(argument) over an element of x, which is set back.

    `number` makes of the element what the first step is added to.
    """
    before = x[index]
    x[index] = number(before) + _H
    above = f(argument)
    x[index] = before - _H
    below = f(argument)
    x[index] = before
    return (above - below) / (2 * _H)


def _numerical_gradient_1d(f: Callable[[Any], Any], x: Any) -> Any:
    gradient = np.zeros_like(x)
    for i in range(x.size):
        gradient[i] = _difference(f, x, i, x)
    return gradient


def numerical_gradient_2d(f: Callable[[Any], Any], X: Any) -> Any:
    """Return the gradient of f, which takes a vector, at X or at each row of X."""
    if X.ndim == 1:
        return _numerical_gradient_1d(f, X)
    gradient = np.zeros_like(X)
    for i, x in enumerate(X):
        gradient[i] = _numerical_gradient_1d(f, x)
    return gradient


def numerical_gradient(f: Callable[[Any], Any], x: Any) -> Any:
    """Return the gradient of f at x, an array of any shape; x is changed while f is called."""
    return gradient_of_elements(f, x, float)


def gradient_of_elements(f: Callable[[Any], Any], x: Any, number: Callable[[Any], Any]) -> Any:
    """Return the gradient of f at x; `number` as for :func:`_difference`."""
    gradient = np.zeros_like(x)
    # In the order in which elements lie in memory, which f can see.
    elements = np.nditer(x, flags=["multi_index"], op_flags=[["readwrite"]])
    while not elements.finished:
        index = elements.multi_index
        gradient[index] = _difference(f, x, index, x, number)
        elements.iternext()
    return gradient
