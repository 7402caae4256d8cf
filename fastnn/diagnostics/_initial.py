"""Sanity checks of the loss before a training."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.diagnostics._check import Check
from fastnn.layers import IdentityWithLoss, SoftmaxWithLoss
from fastnn.layers.record import record_of
from fastnn.networks.interface import (
    PENALTY,
    expect,
    is_regression,
    labels_of,
    random_state_kept,
    strength,
    training_loss,
    without_penalty,
)
from fastnn.ops._targets import are_rows

_SHRINK = 1e-3  # of the weights, for scores near zero
_TOLERANCE = 0.01  # of the loss at chance: scores of 1e-3 move it by less
_WIDE = 3.0  # standard deviations of samples that initial values are made for: 1
_BLOWN_UP = 3.0  # times the loss at chance: what He's and Xavier's initial values stay far below


@random_state_kept()
def check_initial_loss(
    network: Any,
    x: ArrayLike,
    t: ArrayLike,
    *,
    expected: SupportsFloat | None = None,
    samples: SupportsIndex = 100,
    penalty: str = PENALTY,
) -> Check:
    """Check that the data loss is that of chance where all scores are near zero.

    With C classes that is -ln(1/C), 2.303 for ten: each has probability 1/C. Scores are near
    zero if the initial weights are small; He's and Xavier's are not, and their loss is above
    ln C. So the loss is taken of a copy whose weights are a thousandth of what they are, where it
    must be right within 1 %: this tells a sum from a mean, and a factor 2 or 1/N. The loss
    with the weights as they are must be finite and, with classes, not above 3 ln C.

    Parameters
    ----------
    network, x, t
        As for :func:`sanity_checks`; biases should be at their initial values.
    expected : float, optional
        What to expect. By default ln C, or half the mean square of the targets, summed over
        outputs, if the network's last layer is IdentityWithLoss, and for our other losses what they
        are at scores of 0. 9 for the hinge loss of
        CS231n with ten classes and margin 1.
    samples : int
        How many of the first samples are taken.
    penalty : str
        Name of the attribute with the strength of the weight penalty, if there is one.

    Returns
    -------
    Check
        Values: "small" and "initial", the two losses, and "expected". It does not apply if 0 is
        expected, as where all targets of a regression are 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    """
    x, t = expect(network, x, t, samples)
    if expected is None:
        target, formula, largest = chance(network, t)
    else:
        target, formula = numbers.positive("expected", expected), "the loss of chance"
        largest = sys.float_info.max
    name = "loss at chance"
    if target == 0:
        return Check(name, None, f"{formula} = 0: there is nothing to compare with")
    initial, small = (without_penalty(network, penalty) for _ in range(2))
    for p in small.params.values():
        if p.ndim > 1:
            p *= p.dtype.type(_SHRINK)
    with np.errstate(all="ignore"):
        losses = [training_loss(copied, x, t)() for copied in (small, initial)]
    text = (
        f"{losses[0]:.4f} with small weights, expected {formula} = {target:.4f}; "
        f"{losses[1]:.4f} with the initial ones"
    )
    values = {"small": losses[0], "initial": losses[1], "expected": target}
    arrays = {key: np.array(value) for key, value in values.items()}
    advice = ""
    if not abs(losses[0] - target) <= _TOLERANCE * target:
        advice = (
            f"The loss is {losses[0] / target:.4g} times what it should be: is it averaged over "
            "the samples, once? Are labels and classes as many as you think?"
        )
    elif not losses[1] <= largest:
        advice = "The initial weights are too large: take He's with ReLU, Xavier's without."
        spread = float(np.std(x, dtype=np.float64)) * getattr(network, "input_scale", 1.0)
        if spread > _WIDE:
            advice = (
                f"The samples are large: their standard deviation is {spread:.3g}. Bring it to "
                "about 1; for images of bytes by input_scale=1 / 255."
            )
    return Check(name, not advice, text, advice, arrays)


@random_state_kept()
def check_penalty(
    network: Any,
    x: ArrayLike,
    t: ArrayLike,
    *,
    strengths: Sequence[SupportsFloat] = (0.0, 1e-3, 1e-2, 1e-1, 1.0),
    samples: SupportsIndex = 100,
    penalty: str = PENALTY,
) -> Check:
    """Check that the loss rises with the strength of the weight penalty.

    Parameters
    ----------
    network, x, t
        As for :func:`sanity_checks`.
    strengths : sequence of float
        At least two, rising.
    samples : int
        How many of the first samples are taken.
    penalty : str
        Name of the attribute with the strength.

    Returns
    -------
    Check
        Values: "strengths" and "losses". It does not apply if there is no such attribute.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    """
    x, t = expect(network, x, t, samples)
    tried = [numbers.not_negative("strengths", value) for value in strengths]
    if len(tried) < 2 or any(a >= b for a, b in pairwise(tried)):
        raise ValueError(f"strengths: expected at least two rising numbers, got {strengths!r}")
    name = "penalty"
    if strength(network, penalty) is None:
        return Check(name, None, f"the network has no attribute {penalty}")
    copied, losses = copy.deepcopy(network), []
    for value in tried:
        setattr(copied, penalty, value)
        losses.append(training_loss(copied, x, t)())
    rises = np.diff(losses) > 0
    text = f"the loss goes from {losses[0]:.4f} to {losses[-1]:.4f} as {penalty} goes from " + (
        f"{tried[0]:g} to {tried[-1]:g}"
    )
    advice = ""
    if not rises.all():
        advice = "It should rise with each: is the penalty added to the loss, with its sign?"
    return Check(
        name, not advice, text, advice, {"strengths": np.array(tried), "losses": np.array(losses)}
    )


def chance(network: Any, t: Array) -> tuple[float, str, float]:
    """Return the loss of a network that knows nothing, its formula, the largest at the start."""
    record = record_of(getattr(network, "last_layer", None))
    if record is not None and record.kind not in (SoftmaxWithLoss, IdentityWithLoss):
        last, outputs = copy.copy(network.last_layer), network.output_size
        loss = float(last.forward(np.zeros((len(t), outputs)), t))
        return loss, "the loss of scores 0", sys.float_info.max
    if is_regression(network):
        squares = np.square(t.reshape(len(t), -1), dtype=np.float64).sum(axis=1)
        return float(squares.mean()) / 2, "the mean of t^2 / 2", sys.float_info.max
    classes = getattr(network, "output_size", None)
    labels = labels_of(t)
    if classes is None and labels is not None:
        classes = t.shape[1] if are_rows(t) else int(labels.max()) + 1
    if classes is None:
        raise ValueError("expected: needed, as the targets are no classes")
    return math.log(classes), f"ln {classes}", _BLOWN_UP * math.log(classes)
