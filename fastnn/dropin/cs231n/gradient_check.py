"""``cs231n.gradient_check``: gradients from central differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import randrange
from typing import Any

import numpy as np

__all__ = [
    "eval_numerical_gradient",
    "eval_numerical_gradient_array",
    "eval_numerical_gradient_blobs",
    "eval_numerical_gradient_net",
    "grad_check_sparse",
    "np",
    "randrange",
]


def _places(x: Any) -> Iterator[tuple[int, ...]]:
    """Yield the index of each element, in the order in which they lie in memory."""
    it = np.nditer(x, flags=["multi_index"], op_flags=[["readwrite"]])
    while not it.finished:
        yield it.multi_index
        it.iternext()


def _around(evaluate: Callable[[], Any], x: Any, place: tuple[int, ...], h: float) -> Any:
    """Return what comes of an element h larger, and of one h smaller; leave x as it was."""
    old = x[place]
    x[place] = old + h
    above = evaluate()
    x[place] = old - h
    below = evaluate()
    x[place] = old
    return above, below


def eval_numerical_gradient(
    f: Callable[[Any], Any], x: Any, verbose: bool = True, h: float = 0.00001
) -> Any:
    """Return the gradient of a function of one array, whose value is a number.

    `x` is changed in place for each call, and is at the end as it was. The function is called
    once more than is needed, at first. With `verbose`, each element is printed.
    """
    f(x)
    grad = np.zeros_like(x)
    for place in _places(x):
        above, below = _around(lambda: f(x), x, place, h)
        grad[place] = (above - below) / (2 * h)
        if verbose:
            print(place, grad[place])
    return grad


def eval_numerical_gradient_array(f: Callable[[Any], Any], x: Any, df: Any, h: float = 1e-5) -> Any:
    """Return the gradient of sum(f(x) df), where the values of f are arrays."""
    grad = np.zeros_like(x)
    for place in _places(x):
        above, below = _around(lambda: f(x).copy(), x, place, h)
        grad[place] = np.sum((above - below) * df) / (2 * h)
    return grad


def eval_numerical_gradient_blobs(
    f: Callable[..., Any], inputs: tuple[Any, ...], output: Any, h: float = 1e-5
) -> list[Any]:
    """Return the gradients of a function f(*inputs, output) that writes to its last argument.

    Arguments are objects with the arrays vals and diffs; the gradients are those of
    sum(output.vals output.diffs) with respect to the vals of each input.
    """

    def evaluate() -> Any:
        f(*(*inputs, output))
        return np.copy(output.vals)

    numeric_diffs = []
    for blob in inputs:
        diff = np.zeros_like(blob.diffs)
        for place in _places(blob.vals):
            above, below = _around(evaluate, blob.vals, place, h)
            diff[place] = np.sum((above - below) * output.diffs) / (2.0 * h)
        numeric_diffs.append(diff)
    return numeric_diffs


def eval_numerical_gradient_net(
    net: Any, inputs: tuple[Any, ...], output: Any, h: float = 1e-5
) -> list[Any]:
    """Return the gradients of a network whose method forward reads and writes the blobs."""
    return eval_numerical_gradient_blobs(lambda *_: net.forward(), inputs, output, h=h)


def grad_check_sparse(
    f: Callable[[Any], Any], x: Any, analytic_grad: Any, num_checks: int = 10, h: float = 1e-5
) -> None:
    """Print numerical and given gradient for elements that :mod:`random` chooses."""
    for _ in range(num_checks):
        place = tuple([randrange(m) for m in x.shape])
        above, below = _around(lambda: f(x), x, place, h)
        numerical, analytic = (above - below) / (2 * h), analytic_grad[place]
        error = abs(numerical - analytic) / (abs(numerical) + abs(analytic))
        print(f"numerical: {numerical:f} analytic: {analytic:f}, relative error: {error:e}")
