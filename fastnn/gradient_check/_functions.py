"""Gradient checks of functions and of layers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.gradient_check._differences import (
    STEPS,
    Converted,
    Objective,
    compare,
    expect_steps,
    may_have_kinks,
)
from fastnn.gradient_check._report import GradientReport
from fastnn.layers.parameters import items
from fastnn.networks.interface import random_state_kept, repeatable

_DOUT = 20142  # makes a seed of its own for dout


@random_state_kept()
def check_function(
    f: Callable[..., SupportsFloat],
    gradient: Any,
    x: NDArray[Any] | Mapping[str, NDArray[Any]],
    *,
    entries: SupportsIndex | None = 50,
    steps: Any = STEPS,
    kinks: bool = False,
    seed: SupportsIndex = 0,
) -> GradientReport:
    """Check the gradient of a function against centred differences.

    Parameters
    ----------
    f : function of x
        Returns a number.
    gradient : function of x, or its value at x
        An array shaped like `x`, or a dict of them.
    x : ndarray of float64, or dict of str to ndarray of float64
        Where to check. It is changed in place while `f` is called, and is left as it was. A
        dict is for functions of several arrays, such as the `params` of a CS231n model.
    entries : int or None
        How many entries of each array are checked; all if None.
    steps : float or sequence of float
        Steps of the differences.
    kinks : bool
        Whether the function has kinks, for the verdict.
    seed : int
        Chooses the entries. NumPy's global generator is seeded before each call, and set back.

    Returns
    -------
    GradientReport
        With a single array, its only check is called "x".

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.gradient_check import check_function
    >>> x = np.array([0.3, -1.0])
    >>> check_function(lambda x: np.sin(x).sum(), np.cos, x).ok
    True
    >>> check_function(lambda x: np.sin(x).sum(), np.sin, x).verdict
    'probably wrong'
    """
    several = isinstance(x, Mapping)
    params: dict[str, Any] = dict(x) if isinstance(x, Mapping) else {"x": x}
    for key, p in params.items():
        name = f"x[{key!r}]" if several else "x"
        if not isinstance(p, np.ndarray) or p.dtype != np.float64:
            kind = getattr(p, "dtype", type(p).__name__)
            raise TypeError(
                f"{name}: expected an array of float64, got {kind}; x.astype(np.float64) makes one"
            )
        if not p.flags.writeable:
            raise ValueError(
                f"{name}: expected an array that can be written to, got a read-only one"
            )
    if not params:
        raise ValueError("x: expected at least one array, got an empty dict")
    nothing = SimpleNamespace()

    def value() -> float:
        with repeatable(nothing):
            return float(f(x))

    def gradients() -> Mapping[str, Any]:
        with repeatable(nothing):
            given = gradient(x) if callable(gradient) else gradient
        return given if several else {"x": given}

    some = None if entries is None else numbers.integer("entries", entries, 1)
    seed = numbers.integer("seed", seed, 0)
    checks, _ = compare(
        Objective(params, value, gradients), some, expect_steps(steps), seed, kinks=kinks, depth=1
    )
    return GradientReport(getattr(f, "__name__", type(f).__name__), checks)


@random_state_kept()
def check_layer(
    layer: Any,
    x: ArrayLike,
    *arguments: Any,
    entries: SupportsIndex | None = 50,
    steps: Any = STEPS,
    kinks: bool | None = None,
    seed: SupportsIndex = 0,
) -> GradientReport:
    """Check ``backward`` of a layer against centred differences of ``forward``.

    What is differentiated is sum(forward(x) * dout), dout being random numbers, with respect to
    `x` and each parameter of the layer: what it names in `params`, with gradients in `grads`, or
    else each array `W` for which backward leaves a `dW`. The check works in float64, on a copy:
    the layer stays as it is. Dropout repeats its mask.

    Parameters
    ----------
    layer : object
        With ``forward(x)`` and ``backward(dout)``, which returns the gradient with respect to
        x; None if there is none.
    x : array_like
        Input.
    *arguments
        More arguments of ``forward``, such as the targets of a last layer.
    entries : int or None
        How many entries of `x` and of each parameter are checked; all if None.
    steps : float or sequence of float
        Steps of the differences.
    kinks : bool, optional
        Whether the layer has kinks, for the verdict. By default it has unless it is known to
        be smooth.
    seed : int
        Chooses the entries and dout.

    Returns
    -------
    GradientReport

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or the layer's outputs differ between passes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.gradient_check import check_layer
    >>> from fastnn.layers import Affine
    >>> rng = np.random.default_rng(0)
    >>> report = check_layer(Affine(rng.normal(size=(3, 4)), np.zeros(4)), rng.normal(size=(2, 3)))
    >>> {key: check.verdict for key, check in report.checks.items()}
    {'x': 'happy', 'W': 'happy', 'b': 'happy'}
    """
    methods = [callable(getattr(layer, name, None)) for name in ("forward", "backward")]
    if isinstance(layer, type) or not all(methods):
        raise TypeError(f"layer: expected an object with forward and backward, got {layer!r}")
    some = None if entries is None else numbers.integer("entries", entries, 1)
    sizes = expect_steps(steps)
    seed = numbers.integer("seed", seed, 0)
    given = np.asarray(x)
    if given.dtype.kind != "f":
        raise TypeError(f"x: expected an array of a floating dtype, got {given.dtype}")
    given = given.astype(np.float64)
    checked = copy.deepcopy(layer)
    Converted(np.dtype(np.float64)).all_of(checked)
    found = {type(layer).__name__: checked}
    shown = SimpleNamespace(layers=found)

    with repeatable(shown):
        shape = np.shape(checked.forward(given.copy(), *arguments))
    # Not default_rng(seed): x may well have been drawn from that, and dout would be x.
    dout = np.random.default_rng([seed, _DOUT]).normal(size=shape)

    def value() -> float:
        with repeatable(shown):
            return float(np.sum(checked.forward(given.copy(), *arguments) * dout))

    def gradients() -> dict[str, Any]:
        with repeatable(shown):
            checked.forward(given.copy(), *arguments)
            # Layers of the book write to what they are given.
            dx = checked.backward(dout.copy() if shape else float(dout))
        return {"x": dx} | {key: g for key, (_, g) in _parameters(checked).items()}

    first = gradients()
    params: dict[str, Array] = {} if first["x"] is None else {"x": given}
    params |= {key: p for key, (p, _) in _parameters(checked).items()}
    smooth = may_have_kinks(found) if kinks is None else kinks
    checks, crossed = compare(
        Objective(params, value, gradients, found), some, sizes, seed, kinks=smooth, depth=1
    )
    return GradientReport(type(layer).__name__, checks, crossed=crossed)


def _parameters(layer: Any) -> dict[str, tuple[Array, Any]]:
    """Return the parameters with their gradients, by name."""
    named = items(layer, "params")
    if named is not None:
        grads = items(layer, "grads") or {}
        return {name: (p, grads[name]) for name, p in named.items() if name in grads}
    return {
        name[1:]: (getattr(layer, name[1:]), value)
        for name, value in vars(layer).items()
        if name.startswith("d")
        and isinstance(value, np.ndarray)
        and isinstance(getattr(layer, name[1:], None), np.ndarray)
    }
