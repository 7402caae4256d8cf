"""Dropout with the library's own seeded generator."""

from __future__ import annotations

from typing import SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array, Mask
from fastnn.ops._arrays import array_of, deliver, expect_apart, expect_shape, inputs, output
from fastnn.ops._dispatch import checked, run

_dropout, _dropout_backward = checked("dropout"), checked("dropout_backward")
_dropout_inference = checked("dropout_inference")

_MAX_UINT64 = 2**64 - 1


def _train_scale(ratio: float, inverted: bool) -> float:
    return 1 / (1 - ratio) if inverted else 1.0


def dropout(
    x: ArrayLike,
    ratio: SupportsFloat,
    seed: SupportsIndex,
    step: SupportsIndex = 0,
    *,
    inverted: bool = False,
    out: Array | None = None,
    mask: Mask | None = None,
) -> tuple[Array, Mask]:
    """Dropout in training: set each element to zero with probability `ratio`.

    The mask depends on `seed`, `step` and the element's position only: it is the same for
    float32 and float64, whatever the number of threads, on every machine (Philox4x32-10;
    Salmon et al., SC 2011).

    Parameters
    ----------
    x : array_like
        Any shape.
    ratio : float
        Probability of dropping, in [0, 1).
    seed : int
        Chooses the random sequence, in [0, 2**64).
    step : int
        Number of the call, in [0, 2**64); another step gives another mask.
    inverted : bool
        False: keep the others as they are and scale by ``1 - ratio`` at test time
        (Srivastava et al., 2014; the book). True: divide the others by ``1 - ratio`` now
        and leave test time alone.
    out : ndarray, shaped like `x`, optional
        Where to put the result; may be `x` itself.
    mask : ndarray of bool, shaped like `x`, optional
        Where to put the mask.

    Returns
    -------
    y : ndarray, shaped like `x`
        `out` if given.
    mask : ndarray of bool, shaped like `x`
        True where an element was kept.

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range, `x` is not of real numbers, or `out` or `mask` does
        not fit.
    """
    if type(ratio) is float and 0 <= ratio < 1:
        done = _dropout(x, ratio, seed, step, _train_scale(ratio, inverted), out, mask)
        if done is not NotImplemented:
            return done
    (x,) = inputs(x=x)
    ratio = numbers.below_one("ratio", ratio)
    seed = numbers.integer("seed", seed, 0, _MAX_UINT64)
    step = numbers.integer("step", step, 0, _MAX_UINT64)
    y = output("out", out, x.shape, x.dtype, *(() if out is x else (x,)))
    kept = output("mask", mask, x.shape, np.dtype(np.bool_), x)
    expect_apart({"out": out, "mask": mask})
    run(
        "dropout", x.reshape(-1), ratio, seed, step, _train_scale(ratio, inverted),
        y.reshape(-1), kept.reshape(-1),
    )  # fmt: skip
    return deliver(out, y), deliver(mask, kept)


def dropout_backward(
    dout: ArrayLike,
    mask: Mask,
    ratio: SupportsFloat,
    *,
    inverted: bool = False,
    dx: Array | None = None,
) -> Array:
    """Gradient of :func:`dropout`.

    Parameters
    ----------
    dout : array_like
        Gradient of the loss with respect to the output.
    mask : ndarray of bool, shaped like `dout`
        The mask of the forward pass.
    ratio, inverted
        As in the forward pass.
    dx : ndarray, shaped like `dout`, optional
        Where to put the result; may be `dout`.

    Returns
    -------
    ndarray, shaped like `dout`
        `dx` if given.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, `mask` is not boolean, `ratio` is out of [0, 1), or `dx` does not
        fit.
    """
    if type(ratio) is float and 0 <= ratio < 1:
        done = _dropout_backward(dout, mask, _train_scale(ratio, inverted), dx)
        if done is not NotImplemented:
            return done
    (dout,) = inputs(dout=dout)
    ratio = numbers.below_one("ratio", ratio)
    kept = np.require(array_of("mask", mask), requirements=["C", "A", "W"])
    if kept.dtype != np.bool_:
        raise TypeError(f"mask: expected dtype bool, got {kept.dtype}")
    expect_shape("mask", kept, dout.shape, "like dout")
    result = output("dx", dx, dout.shape, dout.dtype, *(() if dx is dout else (dout,)), kept)
    run(
        "dropout_backward", dout.reshape(-1), kept.reshape(-1),
        _train_scale(ratio, inverted), result.reshape(-1),
    )  # fmt: skip
    return deliver(dx, result)


def dropout_inference(
    x: ArrayLike,
    ratio: SupportsFloat,
    *,
    inverted: bool = False,
    out: Array | None = None,
) -> Array:
    """Dropout at test time: x (1 - ratio), or x as it is in the inverted form.

    Parameters
    ----------
    x : array_like
        Any shape.
    ratio, inverted
        As in training.
    out : ndarray, shaped like `x`, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray, shaped like `x`
        `out` if given.

    Raises
    ------
    TypeError, ValueError
        If `ratio` is out of [0, 1), `x` is not of real numbers, or `out` does not fit.
    """
    if type(ratio) is float and 0 <= ratio < 1:
        y = _dropout_inference(x, 1.0 if inverted else 1 - ratio, out)
        if y is not NotImplemented:
            return y
    (x,) = inputs(x=x)
    ratio = numbers.below_one("ratio", ratio)
    y = output("out", out, x.shape, x.dtype, *(() if out is x else (x,)))
    scale = 1.0 if inverted else 1 - ratio
    run("dropout_inference", x.reshape(-1), scale, y.reshape(-1))
    return deliver(out, y)
