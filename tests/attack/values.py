"""Arguments by name: numbers in their range and out of it, arrays of values of every kind.

A name of an argument of `fastnn.ops` that has no generator here fails a test.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import reference
from tests.attack.described import Argument

SMALL = (0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9)
LARGER = (15, 16, 17, 31, 33, 64, 65, 130)
MOST = 20_000  # elements of an array, about

F4, F8 = np.dtype(np.float32), np.dtype(np.float64)
ODD = [np.dtype(c) for c in ("e", "f", "d", "g", "b", "B", "h", "i", "q", "Q", "?")]

# How the values of a case are drawn: as in tests/kernels, with NaN, infinity and zeros among
# them, or from the ends of the range.
KINDS = ("ordinary", "ordinary", "special", "extreme")


class Draw:
    """What one case is made from: a generator, and sizes by the letters of docstrings."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.kind = self.one(KINDS)
        self.dtype = F4 if self.chance(0.5) else F8
        self.sizes: dict[str, int] = {}
        self.left = MOST

    def chance(self, share: float) -> bool:
        """Return True in so many of all cases."""
        return self.rng.random() < share

    def one(self, of: Any) -> Any:
        """Return one of a sequence."""
        return of[int(self.rng.integers(len(of)))]

    def size(self, low: int = 0) -> int:
        """Return a length, mostly a small one."""
        return max(low, self.one(SMALL if self.chance(0.7) else LARGER))

    def dimension(self, letters: str) -> int:
        """Return the length that letters stand for; of "N OH OW" it is the product."""
        product = 1
        for letter in letters.split():
            if letter.isdigit():
                product *= int(letter)
                continue
            if letter not in self.sizes:
                # A batch and its classes have at least one; so have features.
                size = self.size(0 if letter == "H" and self.chance(0.3) else 1)
                self.sizes[letter] = size = size if size <= self.left else min(size, 9)
                self.left //= max(1, size)
            product *= self.sizes[letter]
        return product

    def floats(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return values of the kind of this case, in double precision."""
        a = self.rng.standard_normal(shape)
        if self.kind == "extreme":
            top = 38 if self.dtype == F4 else 308
            a = a * 10.0 ** self.rng.integers(-top - 7, top, shape)
        else:
            a = a * 10.0 ** self.rng.integers(-3, 3)
        a = np.asarray(a)  # one without axes became a number
        if self.kind != "ordinary" and a.size:
            where = self.rng.random(shape) < 0.1
            a[where] = self.rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0], int(where.sum()))
        return a


# Numbers ------------------------------------------------------------------------------------


def fraction(draw: Draw) -> float:
    return draw.one([0.0, 0.5, 0.9, 0.999, float(draw.rng.random())])


def _rate(draw: Draw) -> float:
    return 10.0 ** draw.rng.uniform(-4, 0)


def _small(draw: Draw) -> float:
    return draw.one([1e-7, 1e-3, 10.0 ** draw.rng.uniform(-8, -1)])


def _or_zero(draw: Draw) -> float:
    return draw.one([0.0, 0.01, float(draw.rng.uniform(0, 2))])


def _key(draw: Draw) -> int:
    return int(draw.rng.integers(2**64, dtype=np.uint64))


def _count(draw: Draw) -> int:
    return draw.one([1, 2, 10, 1000, int(draw.rng.integers(1, 2**40))])


NOT_NUMBERS = ["0.1", None, 1j, [0.5, 0.5], np.ones(2), {}, b"1"]
NOT_INTEGERS = ["1", None, 1.5, 1j, [1], np.ones(2), {}]
_ABOVE = [0.0, -1.0, np.nan, np.inf]
_AT_LEAST = [-1e-9, -1.0, np.nan, np.inf, -np.inf]
_BELOW_ONE = [1.0, 1.5, -0.1, np.nan, np.inf]

# Of each name: how a good one is drawn, and some that are none.
NUMBERS: dict[str, tuple[Callable[[Draw], Any], list[Any]]] = {
    "lr": (_rate, NOT_NUMBERS + _ABOVE),
    "eps": (_small, NOT_NUMBERS + _AT_LEAST),
    "weight_decay": (_or_zero, NOT_NUMBERS + _AT_LEAST),
    "momentum_decay": (_or_zero, NOT_NUMBERS + _AT_LEAST),
    "alpha": (_or_zero, NOT_NUMBERS + _AT_LEAST),
    "negative_slope": (_or_zero, NOT_NUMBERS + _AT_LEAST),
    "beta1": (fraction, NOT_NUMBERS + _BELOW_ONE),
    "beta2": (fraction, NOT_NUMBERS + _BELOW_ONE),
    "decay_rate": (fraction, NOT_NUMBERS + _BELOW_ONE),
    "ratio": (fraction, NOT_NUMBERS + _BELOW_ONE),
    "momentum": (fraction, [*NOT_NUMBERS, 1.5, -0.1, np.nan, np.inf]),
    "mu_product": (fraction, [*NOT_NUMBERS, 1.5, -0.1, np.nan]),
    "step": (_count, [*NOT_INTEGERS, -1, 2 ** 70]),
    "seed": (_key, [*NOT_INTEGERS, -1, 2 ** 64]),
    "n": (lambda draw: draw.size(1), [*NOT_INTEGERS, -1, 2 ** 70]),
    "size": (lambda draw: draw.size(), [*NOT_INTEGERS, -1, 2 ** 70]),
    "stride": (lambda draw: draw.sizes["stride"], NOT_INTEGERS[:1] + NOT_INTEGERS[2:] + [0, -1]),
    "pad": (lambda draw: draw.sizes["pad"], [*NOT_INTEGERS, -1, 2 ** 40]),
    "filter_h": (lambda draw: draw.sizes["FH"], [*NOT_INTEGERS, 0, -1, 2 ** 40]),
    "filter_w": (lambda draw: draw.sizes["FW"], [*NOT_INTEGERS, 0, -1, 2 ** 40]),
    "pool_h": (lambda draw: draw.sizes["FH"], [*NOT_INTEGERS, 0, -1, 2 ** 40]),
    "pool_w": (lambda draw: draw.sizes["FW"], [*NOT_INTEGERS, 0, -1, 2 ** 40]),
    "input_shape": (
        lambda draw: tuple(draw.sizes[letter] for letter in "NCHW"),
        [None, 1, "abcd", (1, 2), (1, 2, 3, -1), (1, 2, 3, 4.5), {}],
    ),
    "approximate": (lambda draw: draw.one(["none", "tanh"]), [None, 1, "Tanh", True, ["none"]]),
    "bias_correction": (
        lambda draw: draw.one(["folded", "explicit"]), [None, 1, "Folded", True, ["folded"]],
    ),
    "label_smoothing": (fraction, [*NOT_NUMBERS, 1.5, -0.1, np.nan, np.inf]),
    "delta": (_rate, NOT_NUMBERS + _ABOVE),
    "inverted": (lambda draw: draw.chance(0.5), []),
    "decoupled": (lambda draw: draw.chance(0.5), []),
    "input_gradient": (lambda draw: draw.chance(0.8), []),
}  # fmt: skip


def geometry(draw: Draw, padded: bool) -> None:
    """Draw sizes of images in which a window fits, and how many places it has."""
    sizes = draw.sizes
    fh, fw = (int(v) for v in draw.rng.integers(1, 5, 2))
    stride, pad = int(draw.rng.integers(1, 4)), int(draw.rng.integers(0, 4)) if padded else 0
    n, c = draw.one([0, 1, 1, 2, 3, 7]), draw.one([1, 1, 2, 3, 5])
    sizes |= {"N": n, "C": c, "F": draw.one([1, 2, 3, 8, 17]), "FH": fh, "FW": fw}
    for side, window in (("H", fh), ("W", fw)):
        sizes[side] = max(1, window + int(draw.rng.integers(0, 7)) - 2 * pad)
        sizes["O" + side] = (sizes[side] + 2 * pad - window) // stride + 1
    sizes |= {"stride": stride, "pad": pad}


# Arrays -------------------------------------------------------------------------------------

POSITIVE = {"running_var", "rstd", "h", "u", "v_max", "weights"}
# Infinity times what is all rounding is NaN, or infinity of either sign, and so is infinity times
# what is a denormal number to one side and zero to the other.
FINITE = {"gamma", "dout", "running_mean", "mean", "beta"}
PLAIN = {
    "x", "W", "b", "y", "p", "g", "m", "v", "col", "out", "dx", "dW", "db", "dgamma", "dbeta",
}  # fmt: skip
SPECIAL = {"t", "mask", "argmax"}
ARRAYS = POSITIVE | FINITE | PLAIN | SPECIAL


def shape(draw: Draw, argument: Argument, shapes: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape of an argument, which may be like that of another one."""
    if not argument.shapes:
        free = [draw.size() for _ in range(draw.one([0, 1, 1, 2, 2, 3]))]
        return tuple(free if math.prod(free) <= MOST else [min(n, 9) for n in free])
    form = draw.one(argument.shapes)
    if form.startswith("like "):
        return shapes[form[5:]]
    letters = [each for each in form.split(", ") if each and each != "..."]
    found = tuple(draw.dimension(each.rstrip(",")) for each in letters)
    if "..." in form:
        more = tuple(draw.one([1, 1, 2, 3, 5]) for _ in range(draw.one([1, 2, 2, 3])))
        found += more if math.prod(found + more) <= 2 * MOST else (1,) * len(more)
    if argument.name == "x" and len(argument.shapes) > 1:  # features or channels
        draw.sizes |= {"D": found[1], "C": found[1]}
    return found


def array(draw: Draw, name: str, shape: tuple[int, ...], known: dict[str, Any]) -> np.ndarray:
    """Return the values of an argument of a shape; `known` has those before it."""
    if name == "mask":
        return np.asarray(draw.rng.random(shape) < 0.5)
    if name == "argmax":
        most = draw.sizes["FH"] * draw.sizes["FW"]
        kind = draw.one([np.int32, np.int32, np.int64, np.uint8])
        return draw.rng.integers(0, most, shape).astype(kind)
    if name == "t" and known["classes"]:
        return targets(draw, shape, known["x"])
    if name == "t" and known["within"]:
        return rates(draw, shape, known["within"])
    if name == "weights":
        return weights(draw, shape)
    values = draw.floats(shape)
    if (
        name in POSITIVE
        or (name == "y" and known["positive"])
        or (name == "v" and "beta2" in known["names"])
    ):
        values = np.asarray(np.abs(values))
    if name in FINITE and values.size:
        values[np.isinf(values)] = 1
    dtype = draw.dtype
    if name not in known["updated"] and draw.chance(0.06):
        dtype = draw.one(ODD)
    if dtype.kind in "iub":
        values = np.nan_to_num(np.clip(values, -100, 100))
        values = np.abs(values) if dtype.kind != "i" else values
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype)


def largest(draw: Draw, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the largest of each window: what :func:`fastnn.ops.max_pool` returns."""
    y, argmax = np.empty(shape, x.dtype), np.empty(shape, np.int32)
    sizes = draw.sizes
    reference.max_pool(x, sizes["FH"], sizes["FW"], sizes["stride"], y, argmax)
    return y


def targets(draw: Draw, shape: tuple[int, ...], x: np.ndarray) -> np.ndarray:
    """Return labels, or rows of probabilities."""
    n, classes = x.shape
    labels = draw.rng.integers(0, classes, n)
    if shape != (n, classes):
        kind = draw.one([np.int64, np.int32, np.uint8, np.int16, np.uint64])
        return labels.astype(kind).reshape((n,) if len(shape) == 1 else (n, 1))
    if draw.chance(0.5):
        kind = draw.one([np.float32, np.float64, np.uint8, np.bool_])
        return np.eye(classes, dtype=kind)[labels]
    rows = draw.rng.random((n, classes)) + 1e-3
    return (rows / rows.sum(axis=1, keepdims=True)).astype(draw.dtype)


def rates(draw: Draw, shape: tuple[int, ...], high: float) -> np.ndarray:
    """Return targets from 0 to a number."""
    found = draw.rng.random(shape) * high
    found[draw.rng.random(shape) < 0.3] = draw.one([0, high])
    return found.astype(draw.one([np.float32, np.float64, draw.dtype, np.uint8]))


def weights(draw: Draw, shape: tuple[int, ...]) -> np.ndarray:
    """Return weights of samples, some of which are 0."""
    found = draw.rng.random(shape) * 10.0 ** draw.rng.integers(-3, 3)
    found[draw.rng.random(shape) < 0.2] = 0
    return found.astype(draw.one([np.float32, np.float64, draw.dtype, np.uint8]))


def without_generator(arguments: dict[str, Argument]) -> list[str]:
    """Return the names of arguments that nothing here draws."""
    return [
        name
        for name, argument in arguments.items()
        if name not in (ARRAYS if argument.is_array else NUMBERS)
    ]


def is_classes(argument: Argument) -> bool:
    """Say whether targets are labels or probabilities."""
    return bool(re.search("Labels", argument.text))
