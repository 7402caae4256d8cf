"""What is done about a loss that is not finite: it is explained, and a training put back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from fastnn._utils.types import Array, Int64s, Samples
from fastnn.layers.adoption import is_ours
from fastnn.layers.calls import forward
from fastnn.optimizers.updater import Updater
from fastnn.training.weights import TrainingState, not_finite_in

OnDivergence = Literal["stop", "warn"]
CHOICES = get_args(OnDivergence)

_MOST = 1 << 13  # samples of a batch that layers are looked at with


class DivergenceWarning(RuntimeWarning):
    """A loss, or a parameter, became NaN or infinite."""


class BadStep(NamedTuple):
    """A step whose loss is not finite.

    Attributes
    ----------
    step : int
        Counted from 0.
    loss : float
    correct : int
    rows, before : ndarray of int64, or None
        Its samples, and those of the step before; None for all.
    text : str
        What became of the loss, where and why, as far as samples and rate say it.
    of_data : bool
        Whether there is a sample or a target that is not finite.
    """

    step: int
    loss: float
    correct: int
    rows: Int64s | None
    before: Int64s | None
    text: str
    of_data: bool


@dataclass(frozen=True)
class Divergence:
    """Where a training stopped as its loss, or a parameter, was not finite.

    Attributes
    ----------
    step, epoch : int
        Counted from 1.
    loss : float
        Of the step; finite where a parameter was found not to be after its update.
    layer : str
        The first whose output was not finite; empty if all were, or where that is not known.
    parameter : str
        The one with the largest gradient of the step, or where none of it is finite, of the step
        before if that is not far from a copy; empty where that is not known.
    gradient : float
        The size of that gradient's largest element.
    steps : int
        How many steps there had been where network and optimizer were put back to.
    message : str
        What the warning said.
    """

    step: int
    epoch: int
    loss: float
    layer: str = ""
    parameter: str = ""
    gradient: float = math.nan
    steps: int = 0
    message: str = field(default="", repr=False)


class Guard:
    """Keeps what a training was at beginnings of epochs, to put it back to one.

    That is the last one from which a step has had a finite loss, so that there are two copies: from
    the last one no step may have had. Epochs of few steps go without copies of their own, which
    would take as long as the update of a step: they are done again from a copy before. Ctrl-C is
    to be held back where it puts a training back, until the caller has noted that.

    Parameters
    ----------
    network : Network
    optimizer : Updater
    data : (x, t)
    averages : dict of str to ndarray, or None
    steps_per_epoch : int
    again : function of (first, end), optional
        Does the steps in [first, end) again, with the same bits, from a copy before the first one.
        Without it :meth:`keep` copies each time.
    apart : int
        From how many steps on after the last copy there is another one.
    """

    def __init__(
        self,
        network: Any,
        optimizer: Updater,
        data: tuple[Samples, Samples],
        averages: dict[str, Array] | None,
        steps_per_epoch: int,
        again: Callable[[int, int], None] | None = None,
        apart: int = 1,
    ) -> None:
        self._network, self._data = network, data
        self._steps_per_epoch = steps_per_epoch
        self._again, self._apart = again, apart if again else 1
        self._last, self._before = (TrainingState(network, optimizer, averages) for _ in "12")

    @property
    def is_new(self) -> bool:
        """Whether there is no copy yet."""
        return self._last.step < 0

    def keep(self, step: int) -> None:
        """Copy what the training is after so many steps, unless the last copy will do."""
        if self.is_new or step - self._last.step >= self._apart:
            self._last, self._before = self._before, self._last
            self._last.keep(step)

    def stop(self, bad: BadStep) -> Divergence:
        """Say what a bad step did, and put the training back; the parameters are still its own."""
        found: dict[str, Any] = {"text": ""}
        if not bad.of_data:
            found = _examined(self._network, *self._data, bad.rows)
        if not math.isfinite(found.get("gradient", 0.0)) and bad.step > 0:
            found |= self._step_before(bad, found["text"])
        # A sample that is not finite says nothing against the parameters before this step.
        good = bad.step + bad.of_data
        return self._stopped(bad.step, bad.loss, good, bad.text, found)

    def stop_after(self, losses: Sequence[float]) -> Divergence | None:
        """Put the training back if a parameter is not finite after the steps with these losses."""
        key = not_finite_in(self._network.params)
        if key is None:
            return None
        step = len(losses)
        text = (
            f"parameter {key} is not finite after epoch {step // self._steps_per_epoch}, step "
            f"{step}; the learning rate may be too high"
        )
        return self._stopped(step - 1, losses[-1], step, text, {"parameter": key, "text": ""})

    def _step_before(self, bad: BadStep, text: str) -> dict[str, Any]:
        """Return the largest gradient of the step before a bad one, by way of a copy."""
        last = bad.step - 1
        begin = self._put_back(bad.step)
        if self._again is None or last - begin > self._apart:
            return {}
        self._again(begin, last)
        x, t = _batch(*self._data, bad.before)
        parameter, gradient, more = _largest(self._network.gradient(x, t))
        text += more.replace("; ", "; in the step before ", 1)
        return {"parameter": parameter, "gradient": gradient, "text": text}

    def _stopped(
        self, step: int, loss: float, good: int, text: str, found: dict[str, Any]
    ) -> Divergence:
        steps = self._put_back(good)
        for copied in (self._last, self._before):
            copied.step = -1  # a Trainer goes on from here, perhaps with another rate
        epoch, rest = divmod(steps, self._steps_per_epoch)
        text += f"{found.pop('text')}. The training has stopped, and parameters, running "
        where = "the middle" if rest else "the beginning"
        text += f"statistics and optimizer are those of {where} of epoch {epoch + 1} again"
        return Divergence(
            step=step + 1,
            epoch=step // self._steps_per_epoch + 1,
            loss=loss,
            steps=steps,
            message=text,
            **found,
        )

    def _put_back(self, good: int) -> int:
        """Put the training back, so many of whose steps had a finite loss; return to which step."""
        begin = max(0, good - 1) // self._steps_per_epoch * self._steps_per_epoch
        state = self._last
        if self._before.step >= 0 and (begin < state.step or not state.is_finite()):
            state = self._before
        state.put_back()
        if self._again is None or begin <= state.step:
            return state.step
        self._again(state.step, begin)
        if not_finite_in(self._network.params) is None:
            return begin
        state.put_back()
        return state.step


def _examined(network: Any, x: Samples, t: Samples, rows: Int64s | None) -> dict[str, Any]:
    """Return what a step does to a network: the layer, the largest gradient, and both as text."""
    if not is_ours(network) or network._has_own("predict") or network._has_own("gradient"):
        return {"text": ""}
    x, t = _batch(x, t, rows)
    with np.errstate(all="ignore"):
        try:
            layer, text = _layer(network, x)
            grads = network.gradient(x, t)
        except Exception:  # of a layer of the user's own that is not made for such numbers
            return {"text": ""}
        parameter, gradient, more = _largest(grads)
        if not math.isfinite(gradient):
            sizes = {key: float(np.abs(p).max()) for key, p in network.params.items() if p.size}
            key = max(sizes, key=sizes.__getitem__)
            more += f", the largest parameter is {sizes[key]:.1e}, in {key}"
    return {"layer": layer, "parameter": parameter, "gradient": gradient, "text": text + more}


def _batch(x: Samples, t: Samples, rows: Int64s | None) -> tuple[Samples, Samples]:
    """Return the samples and targets of a step, or many of them."""
    batch: Int64s | slice = slice(_MOST) if rows is None else rows[:_MOST]
    return x[batch], t[batch]


def _layer(network: Any, x: Samples) -> tuple[str, str]:
    """Return the first layer whose output is not finite, and what to say of it."""
    out: Any = x.astype(network.dtype) * network.dtype.type(network.input_scale)
    if not np.isfinite(out).all():
        return "", "; samples times input_scale are not finite"
    largest, of = 0.0, ""
    for name, layer in network.layers.items():
        out = forward(layer, out, True)
        if not np.isfinite(out).all():
            return name, f"; the output of {name} is the first that is not finite"
        if out.size and np.abs(out).max() > largest:
            largest, of = float(np.abs(out).max()), name
    return "", f"; all layers' outputs are finite, the largest one {largest:.1e} in {of}"


def _largest(grads: Mapping[str, Array]) -> tuple[str, float, str]:
    """Return the parameter with the largest gradient, its size, and both as text."""
    sizes = {key: float(np.abs(g).max()) for key, g in grads.items() if g.size}
    finite = {key: size for key, size in sizes.items() if math.isfinite(size)}
    if not sizes:
        return "", math.nan, ""
    if not finite:
        key = next(iter(sizes))
        return key, sizes[key], f"; no gradient is finite, that of {key} is {sizes[key]}"
    key = max(finite, key=finite.__getitem__)
    others = [other for other in sizes if other not in finite]
    more = f" (those of {', '.join(others)} are not finite)" if others else ""
    return key, finite[key], f"; the largest gradient is {finite[key]:.1e}, that of {key}{more}"
