"""What the curves and measurements of a training mean, by the rules of the CS231n notes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fastnn._utils import html
from fastnn._utils.types import Array
from fastnn.diagnostics._measurements import Distribution, Measurements
from fastnn.layers.parameters import is_weight_name

if TYPE_CHECKING:
    from fastnn.training.history import History

TARGET = 1e-3  # update-to-weight ratio
_FAR = 10.0  # times the target, or below it, is suspicious
_BLOCKS = 20  # that the losses of all steps are averaged over
_STEPS = 10  # of a block, at least: single steps are noisy, above all with few samples in each
_JUMP = 2.5  # times the loss at chance, or the first if that is larger, is an explosion
_SURE = 4.0  # times the noise of a block's mean: the lowest of them is low by luck, too
_FLAT = 0.05  # share of the loss that it should fall by
_LINEAR = 0.4  # share of the fall in the second half, which is 0.5 of a straight line
_COLLAPSED, _EXPLODED = 0.01, 30.0  # standard deviation beside that of the first layer
_VANISHED = 0.003  # gradient of the first layer beside that of the scores
_SATURATED = 0.4  # share of a layer's activations
_DEAD = 0.3  # share of a layer's units
_GAP = 0.1  # between training and validation accuracy
_NO_GAP = 0.02
_LOW = 0.9  # accuracy below which a training may have something left to learn

HIGH = "learning rate too high"
LOW = "learning rate too low"
INITIAL = "bad initial values"
STUCK = "loss does not fall"
DEAD = "dead units"
SATURATED = "saturated units"
OVERFITTING = "overfitting"
SMALL = "capacity too small"

ADVICE = {
    HIGH: "try a rate 3 to 10 times lower, or clip_norm",
    LOW: "try a rate 3 to 10 times higher",
    INITIAL: 'try weight_init_std="he" for ReLU, "xavier" for sigmoid and tanh; or use_batchnorm',
    STUCK: "check gradients, targets and the scale of the data; try to overfit 20 samples",
    DEAD: "try a lower rate, smaller initial values, or batch normalisation",
    SATURATED: "try a lower rate, smaller initial values, or batch normalisation",
    OVERFITTING: "try more weight decay or dropout, or more data",
    SMALL: "try more units or layers, or less regularisation, if the task allows for more",
}


@dataclass
class Finding:
    """Something suspicious.

    Attributes
    ----------
    sickness : str
        "learning rate too high", "learning rate too low", "bad initial values", "loss does not
        fall", "dead units", "saturated units", "overfitting" or "capacity too small".
    evidence : list of str
        What was seen, with numbers and layers.
    advice : str
    """

    sickness: str
    evidence: list[str]
    advice: str

    def __str__(self) -> str:
        return "\n".join(
            [self.sickness, *(f"  - {line}" for line in self.evidence), f"  {self.advice}"]
        )


@dataclass
class Verdict:
    """What is suspicious about a training; as text what one would say of it.

    Attributes
    ----------
    findings : list of Finding
        Empty if nothing is.
    facts : list of str
        What was looked at, with numbers.
    """

    findings: list[Finding] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Whether nothing is suspicious."""
        return not self.findings

    @property
    def sicknesses(self) -> list[str]:
        """What the findings are called."""
        return [finding.sickness for finding in self.findings]

    @property
    def _head(self) -> str:
        return "nothing suspicious" if self.healthy else "suspicious"

    def __str__(self) -> str:
        return "\n".join([f"{self._head}: {', '.join(self.facts)}", *map(str, self.findings)])

    def _repr_html_(self) -> str:
        parts = [html.heading(self._head), html.paragraph(", ".join(self.facts))]
        for finding in self.findings:
            parts.append(html.heading(finding.sickness))
            parts.append(html.bullets([*finding.evidence, finding.advice]))
        return html.join(*parts)


def diagnose(history: History, monitor: Measurements | None = None) -> Verdict:
    """Say what is suspicious about a training, with the numbers that it is seen by.

    The rules are those of the CS231n notes ("Neural networks 3", babysitting the learning
    process): updates should be about 1e-3 of the weights; a loss that explodes speaks for too
    high a rate, one that falls in a straight line for too low a rate; activations and gradients
    should neither collapse nor saturate; a large gap between training and validation accuracy is
    overfitting, none at a low accuracy a network that is too small. They are rules of thumb: a
    finding is a place to look at.

    Parameters
    ----------
    history : History
        Of ``network.fit``. For a loop of one's own, one with `step_losses` and, epoch by epoch,
        `loss`, `accuracy`, `val_loss` and `val_accuracy`; empty lists are left out.
    monitor : Monitor, optional
        What was measured. Without it the curves alone are judged.

    Returns
    -------
    Verdict

    Raises
    ------
    TypeError
        If an argument is not as above.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.diagnostics import Monitor, diagnose
    >>> x = np.random.default_rng(0).normal(size=(300, 4))
    >>> t = (x[:, 0] > 0).astype(int)
    >>> net, monitor = MultiLayerNet(4, [16], 2, seed=0), Monitor(x, t, every=10)
    >>> history = net.fit(x, t, 5, 30, "SGD", callbacks=[monitor], verbose=False, seed=0)
    >>> diagnose(history, monitor).sicknesses
    []
    >>> net.params["b1"][:8] = -100
    >>> history = net.fit(x, t, 5, 30, "SGD", callbacks=[monitor], verbose=False, seed=0)
    >>> print(diagnose(history, monitor).findings[0].evidence[0])
    dead units at the start: Affine1 50%
    """
    if not hasattr(history, "step_losses"):
        raise TypeError(f"history: expected that of a training, got {history!r}")
    if monitor is not None and not isinstance(monitor, Measurements):
        raise TypeError(f"monitor: expected a Monitor, got {monitor!r}")
    losses = np.asarray(history.step_losses, np.float64)
    parts = _blocks(losses, _BLOCKS)
    curve = np.array([part.mean() for part in parts])
    ratio = math.nan if monitor is None else _typical_ratio(monitor)
    found: dict[str, list[str]] = {}

    def add(sickness: str, evidence: Iterable[str]) -> None:
        for text in evidence:
            found.setdefault(sickness, []).append(text)

    if monitor is not None and monitor.steps[:1] == [0]:
        add(INITIAL, _initial(monitor))
    # Where values are bad from the start, all else follows from that.
    cause = INITIAL if INITIAL in found else HIGH
    add(cause, _explosions(losses, parts, curve, _chance(history, monitor)))
    if cause == HIGH and ratio > TARGET * _FAR:
        add(HIGH, [_ratio_text(ratio)])
    if not _has_learnt(history, curve):
        if cause == HIGH and HIGH not in found:  # units that it has saturated or killed rest
            add(LOW, _slowness(curve, ratio))
        if curve.size > 2 and curve[-1] > (1 - _FLAT) * curve[0]:
            text = f"the loss went from {curve[0]:.4g} to {curve[-1]:.4g} in {losses.size} steps"
            add(next(iter(found), STUCK), [text])
    if monitor is not None and monitor.steps and monitor.steps[-1] > 0:
        for sickness, text in _units(monitor, -1, "at the end"):
            add(cause if cause in found else sickness, [text])
    _accuracies(history, found)
    facts = list(_facts(history, losses, ratio))
    return Verdict([Finding(s, evidence, ADVICE[s]) for s, evidence in found.items()], facts)


def _blocks(losses: Array, most: int) -> list[Array]:
    """Return the losses in at most so many parts of at least 10 steps, but one if there are any."""
    if not losses.size:
        return []
    return np.array_split(losses, max(1, min(most, losses.size // _STEPS)))


def _chance(history: History, monitor: Measurements | None) -> float:
    """Return the loss of knowing nothing, or what it is at least; 0 if that is not known."""
    if monitor is not None and monitor.chance > 0:
        return monitor.chance
    return math.log(2) if history.accuracy else 0.0


def _facts(history: History, losses: Array, ratio: float) -> Iterator[str]:
    if losses.size:
        end = losses[-max(1, losses.size // _BLOCKS) :].mean()
        yield f"loss {losses[0]:.3g} to {end:.3g}"
    if not math.isnan(ratio):
        yield f"updates {ratio:.1e} of the weights"
    if history.accuracy:
        yield f"training accuracy {history.accuracy[-1]:.3f}"
    if history.val_accuracy:
        yield f"validation accuracy {history.val_accuracy[-1]:.3f}"


def _has_learnt(history: History, curve: Array) -> bool:
    """Say whether small updates and a flat loss are those of a training at its end."""
    if history.accuracy:
        return history.accuracy[-1] > _LOW
    return curve.size > 0 and bool(curve[-1] < 0.1 * curve[0])


def weights(monitor: Measurements) -> dict[str, Array]:
    """Return the ratios (M,) of weights: of what is not zero at first, as biases are."""
    ratios = {key: np.asarray(values) for key, values in monitor.ratios.items()}
    kept = {key: values for key, values in ratios.items() if is_weight_name(key)}
    return kept or ratios


def _typical_ratio(monitor: Measurements) -> float:
    """Return the geometric mean over weights of the medians over time; NaN without any."""
    medians = []
    for values in weights(monitor).values():
        known = values[np.isfinite(values) & (values > 0)]
        if known.size:
            medians.append(float(np.median(known)))
    return float(np.exp(np.mean(np.log(medians)))) if medians else math.nan


def _ratio_text(ratio: float) -> str:
    side = "above" if ratio > TARGET else "below"
    factor = max(ratio / TARGET, TARGET / ratio)
    return f"updates are {ratio:.1e} of the weights, {factor:.0f} times {side} 1e-3"


def _explosions(losses: Array, parts: list[Array], curve: Array, chance: float) -> Iterator[str]:
    wrong = np.flatnonzero(~np.isfinite(losses))
    if wrong.size:
        yield f"the loss became {losses[wrong[0]]} in step {wrong[0] + 1}"
    if losses.size == 0 or (wrong.size and wrong[0] == 0):
        return
    good = losses[: wrong[0]] if wrong.size else losses
    with np.errstate(over="ignore"):
        spread = float(np.median([part.std() for part in _blocks(good, _BLOCKS)]))
    # A few steps, as an explosion soon ends where units have died; but not one, as a single
    # sample that is hard may have many times the loss of others.
    few = max(part.mean() for part in _blocks(good, good.size))
    if few > _JUMP * max(good[0], chance or spread):
        top = int(good.argmax())
        yield f"the loss rose from {good[0]:.3g} to {good[top]:.3g} in step {top + 1}"
    elif not wrong.size:
        rise, fall = curve[-1] - curve.min(), curve[0] - curve.min()
        noise = _SURE * spread / math.sqrt(len(parts[-1]))
        # What a network knew before the training it may lose in part: that is little of chance.
        if rise > max(0.1 * fall, _FLAT * max(curve[0], chance), noise):
            yield f"the loss rose again from {curve.min():.3g} to {curve[-1]:.3g}"


def _slowness(curve: Array, ratio: float) -> Iterator[str]:
    if curve.size < 4 or not np.isfinite(curve).all():
        return
    if ratio < TARGET / _FAR:
        yield _ratio_text(ratio)
    fall, second = curve[0] - curve[-1], curve[curve.size // 2] - curve[-1]
    # A fall that is no larger than the noise of single batches has no shape.
    noise = np.abs(np.diff(curve, 2)).mean()
    if fall > 7 * noise and second > _LINEAR * fall and not ratio > TARGET:
        share = f"{100 * second / fall:.0f}% of its fall"
        yield f"the loss falls in a straight line: {share} came in the second half"


def _initial(monitor: Measurements) -> Iterator[str]:
    """Yield what is wrong before the first step."""
    first = {name: measured[0] for name, measured in monitor.activations.items()}
    stds = {name: d.std for name, d in first.items()}
    if stds:
        begin = next(iter(stds.values()))
        yield from _stds("collapse", {k: s for k, s in stds.items() if s < _COLLAPSED * begin})
        yield from _stds("explode", {k: s for k, s in stds.items() if s > _EXPLODED * begin})
        gradients: list[Distribution] = [measured[0] for measured in monitor.gradients.values()]
        share = gradients[0].std / gradients[-1].std if gradients[-1].std else math.nan
        if share < _VANISHED:
            name = next(iter(first))
            yield f"gradients vanish: at {name} they are {share:.0e} of those at the scores"
    yield from (text for _, text in _units(monitor, 0, "at the start"))


def _stds(verb: str, stds: dict[str, float]) -> Iterator[str]:
    if stds:
        values = [f"{std:.1e} in {name}" for name, std in stds.items()]
        yield f"activations {verb}: standard deviation {_listed(values)}"


def _units(monitor: Measurements, i: int, when: str) -> Iterator[tuple[str, str]]:
    """Yield layers with many dead or saturated units in measurement `i`."""
    for sickness, recorded, limit, what in (
        (DEAD, monitor.dead, _DEAD, "dead units"),
        (SATURATED, monitor.saturated, _SATURATED, "saturated activations"),
    ):
        many = {name: shares[i] for name, shares in recorded.items() if shares[i] > limit}
        if many:
            shares = [f"{name} {100 * share:.0f}%" for name, share in many.items()]
            yield sickness, f"{what} {when}: {_listed(shares)}"


def _listed(layers: list[str]) -> str:
    """Return what is said of layers as text; of many, what is said of the first and the last."""
    if len(layers) > 5:
        layers = [*layers[:2], f"... {layers[-1]} ({len(layers)} layers)"]
    return ", ".join(layers)


def _accuracies(history: History, found: dict[str, list[str]]) -> None:
    """Add what training and validation accuracy say."""
    if not history.accuracy or not history.val_accuracy:
        return
    train, validation = history.accuracy, history.val_accuracy[-1]
    gap = train[-1] - validation
    text = f"accuracy {train[-1]:.3f} in training, {validation:.3f} in validation"
    if gap > _GAP:
        found[OVERFITTING] = [text]
    back = max(1, len(train) // 4)
    rests = len(train) > 3 and train[-1] - train[-1 - back] < 0.01
    if not found and abs(gap) < _NO_GAP and train[-1] < _LOW and rests:
        found[SMALL] = [f"{text}, and neither gets better"]
