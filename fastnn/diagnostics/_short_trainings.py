"""Sanity checks that train a copy for a short time."""

from __future__ import annotations

import math
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.diagnostics._check import Check
from fastnn.layers.record import takes
from fastnn.networks.interface import (
    PENALTY,
    batches,
    expect,
    in_training,
    is_regression,
    labels_of,
    random_state_kept,
    repeatable,
    training_loss,
    turn_off_dropout,
    without_penalty,
)
from fastnn.ops._targets import are_rows, count_correct, right_answers
from fastnn.optimizers import Adam
from fastnn.optimizers.updater import anew, optimizer_of

_OVERFITTED = 0.01  # a loss near zero: all samples have a probability of about 99 %
_BATCH = 32
_STEPS = 500  # of the training that is to generalise, at least
_ROOM = 0.65  # from chance to 1: what is beyond, a right network may miss after a short training


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
    loss is below 0.01 and each sample is classified correctly. Where targets are no classes, the
    loss must be below a hundredth of what naming their mean gives: half the sum of their variances.

    Parameters
    ----------
    network, x, t
        As for :func:`sanity_checks`.
    samples : int
        How many of the first samples are taken.
    steps : int
        Training steps at the most.
    optimizer : Optimizer or str, optional
        Adam with its usual settings if not given. It is copied, without what it keeps of updates.
        If it is not given and the network's last layer is IdentityWithLoss, targets are
        standardised: Adam's steps are of one size, whatever that of the targets.
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
    x, targets = expect(network, x, t, samples)
    most = numbers.integer("steps", steps, 1)
    copied, losses = without_penalty(network, penalty), []
    turn_off_dropout(copied)
    standardised = optimizer is None and takes(network) == "numbers"
    if standardised:
        scale = targets.std(axis=0, dtype=np.float64)
        targets = (targets - targets.mean(axis=0, dtype=np.float64)) / np.where(scale > 0, scale, 1)
    limit = _OVERFITTED
    if is_regression(network) or labels_of(targets) is None:
        limit *= float(targets.var(axis=0, dtype=np.float64).sum()) / 2 or 1.0
    optimizer = _copy_of(optimizer)
    done, share = False, math.nan
    loss = training_loss(copied, x, targets)
    with np.errstate(all="ignore"):
        for step in range(most + 1):
            losses.append(loss())
            if losses[-1] < limit or step == most:
                if not is_regression(network):
                    share = _accuracy(network, in_training(copied.predict)(x), targets)
                done = losses[-1] < limit and not share < 1
            if done or step == most or not math.isfinite(losses[-1]):
                break
            optimizer.update(copied.params, copied.gradient(x, targets))
    text = (
        f"loss {losses[0]:.3f} to {losses[-1]:.4f} on {len(x)} samples in {len(losses) - 1} steps"
    )
    if standardised:
        text += ", targets standardised"
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
        How many samples are drawn, at least 10.
    epochs : int
        Passes over those that are trained on, in batches of 32; more if it takes them to make
        500 steps.
    optimizer : Optimizer or str, optional
        Adam with its usual settings if not given. It is copied, without what it
        keeps of updates.
    penalty : str
        Name of the attribute with the strength of the weight penalty, if there is one.
    seed : int
        Chooses and orders the samples.

    Returns
    -------
    Check
        Values: "accuracy" and "chance", on the last fifth. It does not apply if targets are no
        classes, or if there are so few samples that luck goes far beyond chance.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    """
    count = numbers.integer("samples", samples, 10)
    passes = numbers.integer("epochs", epochs, 1)
    seed = numbers.integer("seed", seed, 0)
    x, t = expect(network, x, t, None)
    name = "beats chance on new samples"
    labels = labels_of(t)
    several = takes(network) == "answers" and are_rows(t)
    if labels is None or several or is_regression(network):
        return Check(name, None, "the targets are no classes")
    if len(x) < 10:
        raise ValueError(f"x: expected at least 10 samples, got {len(x)}")
    rows = np.random.default_rng(seed).permutation(len(x))[:count]
    train, new = rows[: len(rows) * 4 // 5], rows[len(rows) * 4 // 5 :]
    optimizer = _copy_of(optimizer)
    chance = float(np.unique(labels[new], return_counts=True)[1].max()) / len(new)
    wanted = chance + 4 * math.sqrt(chance * (1 - chance) / len(new))
    if wanted - chance > _ROOM * (1 - chance) or chance == 1:
        return Check(name, None, f"{len(new)} new samples are too few: naming one class is right "
                     f"for {chance:.1%}, and luck for {wanted:.1%}")  # fmt: skip
    copied = without_penalty(network, penalty)
    turn_off_dropout(copied)  # deep networks with it are still at the start after this few steps
    steps = max(passes * -(-len(train) // _BATCH), _STEPS)
    with np.errstate(all="ignore"), repeatable(copied):
        for some in batches(len(train), _BATCH, steps, seed):
            batch = train[some]
            optimizer.update(copied.params, copied.gradient(x[batch], t[batch]))
        accuracy = _accuracy(network, copied.predict(x[new]), t[new])
    ok = accuracy >= wanted
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
    return Adam() if optimizer is None else anew(optimizer_of(optimizer, {}))


def _accuracy(network: Any, scores: Array, t: Array) -> float:
    """Return the share of samples that the network is right about; NaN without classes."""
    if takes(network) == "answers":
        return float(np.mean(right_answers(np.asarray(scores), t)))
    labels = labels_of(t)
    return math.nan if labels is None else count_correct(np.asarray(scores), labels) / len(labels)
