"""What ``network.fit`` is asked for, besides the data: its arguments, checked once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastnn._utils import validation as numbers
from fastnn.optimizers import Adam
from fastnn.optimizers.updater import Updater, optimizer_of, rate_of
from fastnn.training import schedules
from fastnn.training.callbacks import Callback, Checkpoint
from fastnn.training.divergence import CHOICES, OnDivergence
from fastnn.training.history import History
from fastnn.training.metrics import Metric, metrics_of
from fastnn.training.progress import is_shown
from fastnn.training.schedules import Schedule


@dataclass(frozen=True)
class FitSettings:
    """Arguments of :meth:`fastnn.Network.fit`, which documents them.

    Those from `schedule` to `seed` are None where they are not given: a training that is resumed
    goes by what it went by. `validation` and weights are checked with the data.
    """

    epochs: int
    batch_size: int
    optimizer: Updater
    validation: Any
    callbacks: tuple[Callback, ...]
    verbose: bool
    schedule: Schedule | None
    clip_value: float | None
    clip_norm: float | None
    ema: float | None
    shuffle: bool | None
    seed: int | None
    resume: History | None
    on_divergence: OnDivergence = "stop"
    validate_averages: bool = False
    metrics: tuple[Metric, ...] | None = None
    sample_weight: Any = None
    class_weight: Any = None

    @classmethod
    def from_arguments(cls, **given: Any) -> FitSettings:
        """Return the settings that arguments say, as users give them.

        Raises
        ------
        TypeError, ValueError
            If one is not as `fit` says.
        """
        checked = {name: check(name, given[name]) for name, check in _CHECKS.items()}
        checked["metrics"] = None if given["metrics"] is None else metrics_of(given["metrics"])
        optimizer = given["optimizer"]
        if optimizer is None:
            optimizer = Adam() if given["resume"] is None else given["resume"].optimizer
            if optimizer is None:
                raise ValueError(
                    "optimizer: expected the one of the training to resume, given again, as its "
                    "copy or pickle could not hold it, got None"
                )
        checked["optimizer"] = optimizer_of(optimizer, {})
        if given["schedule"] is not None and rate_of(checked["optimizer"]) is None:
            raise TypeError(
                f"schedule: expected an optimizer with a number `lr`, got {optimizer!r}"
            )
        if checked["validate_averages"]:
            ema = given["ema"] if given["resume"] is None else given["resume"].ema
            if given["validation"] is None or (ema is None and given["ema"] is None):
                missing = "validation" if given["validation"] is None else "ema"
                raise ValueError(f"validate_averages: expected {missing}= beside it, got None")
        return cls(**{**given, **checked})

    def changes(self) -> dict[str, Any]:
        """Return what is given of the settings that last for a training, by name."""
        names = ("schedule", "clip_value", "clip_norm", "ema", "shuffle")
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}


def _optional(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Return a check that lets None pass."""
    return lambda name, value: None if value is None else check(name, value)


def _schedule(name: str, given: Any) -> Schedule:
    if not callable(given):
        raise TypeError(f"{name}: expected a function of step numbers, got {given!r}")
    for kind in schedules.__all__:
        if given is getattr(schedules, kind):
            raise TypeError(
                f"{name}: expected what schedules.{kind}(...) returns, got that function itself"
            )
    schedule: Schedule = given
    return schedule


def _callbacks(name: str, given: Any) -> tuple[Callback, ...]:
    if not isinstance(given, Iterable):
        raise TypeError(f"{name}: expected a list of callbacks, got {given!r}")
    found = list(given)
    for callback in found:
        if not isinstance(callback, Callback):
            raise TypeError(f"{name}: expected objects of type Callback, got {callback!r}")
    # What the others change at the end of an epoch must be in its checkpoint.
    return tuple(sorted(found, key=lambda callback: isinstance(callback, Checkpoint)))


def _history(name: str, given: Any) -> History:
    if not isinstance(given, History):
        raise TypeError(f"{name}: expected a History, got {given!r}")
    return given


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "epochs": lambda name, value: numbers.integer(name, value, 0),
    "batch_size": lambda name, value: numbers.integer(name, value, 1),
    "callbacks": _callbacks,
    "verbose": is_shown,
    "schedule": _optional(_schedule),
    "clip_value": _optional(numbers.positive),
    "clip_norm": _optional(numbers.positive),
    "ema": _optional(numbers.below_one),
    "shuffle": _optional(numbers.flag),
    "seed": _optional(lambda name, value: numbers.integer(name, value, 0, 2**64 - 1)),
    "resume": _optional(_history),
    "on_divergence": lambda name, value: numbers.one_of(name, value, CHOICES),
    "validate_averages": numbers.flag,
}
