"""Sanity checks that train a copy for a short time."""

from __future__ import annotations

import copy
import math
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn import _numbers as numbers
from fastnn import layers
from fastnn._own_networks import (
    PENALTY,
    batches,
    expect,
    in_training,
    labels_of,
    random_state_kept,
    repeatable,
    training_loss,
    turn_off_dropout,
    without_penalty,
)
from fastnn._types import Array
from fastnn.diagnostics._check import Check
from fastnn.optimizers import Adam

_OVERFITTED = 0.01  # a loss near zero: all samples have a probability of about 99 %
_BATCH = 32


@random_state_kept()
def check_overfitting(
    network: Any,
    x: ArrayLike,
    t: ArrayLike,
    *,
    samples: SupportsIndex = 20,
    steps: SupportsIndex = 1000,
    optimizer: Any = None,
    penalty: str = PENALTY,
) -> Check:
    """Check that a copy can be trained to a loss of zero on a few samples.

    Without weight penalty and dropout, all samples in each step. It ends as soon as the data
    loss is below 0.01 and each sample is classified right.

    Parameters
    ----------
    network, x, t
        As for :func:`sanity_checks`.
    samples : int
        How many of the first samples are taken.
    steps : int
        Training steps at the most.
    optimizer : Optimizer, optional
        Adam with its usual settings if not given. It is copied.
    penalty : str
        Name of the attribute with the strength of the weight penalty, if there is one.

    Returns
    -------
    Check
        Values: "losses", that of each step before its update, and the last one.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    """
    x, t = expect(network, x, t, samples)
    most = numbers.whole("steps", steps, 1)
    copied, losses = without_penalty(network, penalty), []
    turn_off_dropout(copied)
    optimizer = _copy_of(optimizer)
    done, share = False, math.nan
    loss = training_loss(copied, x, t)
    with np.errstate(all="ignore"):
        for step in range(most + 1):
            losses.append(loss())
            if losses[-1] < _OVERFITTED or step == most:
                share = _accuracy(in_training(copied.predict)(x), t)
                done = losses[-1] < _OVERFITTED and not share < 1
            if done or step == most or not math.isfinite(losses[-1]):
                break
            optimizer.update(copied.params, copied.gradient(x, t))
    text = (
        f"loss {losses[0]:.3f} to {losses[-1]:.4f} on {len(x)} samples in {len(losses) - 1} steps"
    )
    if not math.isnan(share):
        text += f", accuracy {share:.0%}"
    advice = ""
    if not done:
        advice = (
            "It should reach 0: is a gradient wrong, the learning rate too high or too low, or the "
            "network too small? All else is in vain before it does."
        )
    return Check("overfits few samples", done, text, advice, {"losses": np.array(losses)})


@random_state_kept()
def check_generalisation(
    network: Any,
    x: ArrayLike,
    t: ArrayLike,
    *,
    samples: SupportsIndex = 1000,
    epochs: SupportsIndex = 20,
    optimizer: Any = None,
    penalty: str = PENALTY,
    seed: SupportsIndex = 0,
) -> Check:
    """Check that a short training beats chance on samples that it has not seen.

    Shuffled labels and scrambled features can be learnt by heart: a few samples are overfitted
    even so. What they cannot do is help with others. A copy is trained, without dropout and
    weight penalty, on four fifths of some samples. On the last fifth its accuracy must be above
    that of naming the most frequent class, by four standard deviations.

    Parameters
    ----------
    network, x, t
        As for :func:`sanity_checks`.
    samples : int
        How many samples are drawn, from 10 up.
    epochs : int
        Passes over those that are trained on, in batches of 32.
    optimizer : Optimizer, optional
        Adam with its usual settings if not given. It is copied.
    penalty : str
        Name of the attribute with the strength of the weight penalty, if there is one.
    seed : int
        Chooses and orders the samples.

    Returns
    -------
    Check
        Values: "accuracy" and "chance", on the last fifth. It does not apply if targets are no
        classes.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    """
    count = numbers.whole("samples", samples, 10)
    passes = numbers.whole("epochs", epochs, 1)
    seed = numbers.whole("seed", seed, 0)
    x, t = expect(network, x, t, None)
    name = "beats chance on new samples"
    labels = labels_of(t)
    if labels is None or isinstance(getattr(network, "last_layer", None), layers.IdentityWithLoss):
        return Check(name, None, "the targets are no classes")
    if len(x) < 10:
        raise ValueError(f"x: expected at least 10 samples, got {len(x)}")
    rows = np.random.default_rng(seed).permutation(len(x))[:count]
    train, new = rows[: len(rows) * 4 // 5], rows[len(rows) * 4 // 5 :]
    copied, optimizer = without_penalty(network, penalty), _copy_of(optimizer)
    turn_off_dropout(copied)  # deep networks with it are still at the start after this few steps
    steps = passes * -(-len(train) // _BATCH)
    with np.errstate(all="ignore"), repeatable(copied):
        for some in batches(len(train), _BATCH, steps, seed):
            batch = train[some]
            optimizer.update(copied.params, copied.gradient(x[batch], t[batch]))
        accuracy = _accuracy(copied.predict(x[new]), t[new])
    chance = float(np.unique(labels[new], return_counts=True)[1].max()) / len(new)
    wanted = min(chance + 4 * math.sqrt(chance * (1 - chance) / len(new)), 1.0)
    ok = accuracy >= wanted and chance < 1
    text = (
        f"accuracy {accuracy:.1%} on {len(new)}, expected at least {wanted:.1%} "
        f"(naming one class: {chance:.1%})"
    )
    advice = ""
    if not ok:
        advice = (
            "What is learnt does not help with new samples: do labels belong to their samples? "
            "Are features what you think? Look at some of both."
        )
    values = {"accuracy": np.array(accuracy), "chance": np.array(chance)}
    return Check(name, ok, text, advice, values)


def _copy_of(optimizer: Any) -> Any:
    if optimizer is None:
        return Adam()
    if isinstance(optimizer, type) or not callable(getattr(optimizer, "update", None)):
        raise TypeError(f"optimizer: expected an object with update, got {optimizer!r}")
    return copy.deepcopy(optimizer)


def _accuracy(scores: Array, t: Array) -> float:
    """Return the share of samples whose largest score is the label's; NaN without classes."""
    labels = labels_of(t)
    if labels is None:
        return math.nan
    return float(np.mean(np.asarray(scores).argmax(axis=1) == labels))
