"""What a training recorded, from a file: checked as a whole."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from fastnn._utils import schema
from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.training.history import ResumeState, TrainingLog, TrainingSettings
from fastnn.training.metrics import is_name


def _metrics(name: str, value: Any) -> tuple[str, ...]:
    metrics = tuple(schema.listed(schema.text)(name, value))
    kinds = [kind for kind in metrics if not kind.startswith("val_")]
    expected = tuple(kinds), (*kinds, *(f"val_{kind}" for kind in kinds))
    named = kinds[:1] == ["loss"] and len({*kinds}) == len(kinds) and all(map(is_name, kinds[1:]))
    if not named or metrics not in expected:
        raise ValueError(
            f"{name}: expected loss, the names of other metrics, and, if at all, val_loss and so "
            f"on of all of them, got {', '.join(metrics)}"
        )
    return metrics


_REAL = numbers.Range(-math.inf, math.inf, "a finite number")
_CHECKS: dict[str, schema.Check] = {
    "metrics": _metrics,
    "route": schema.text,
    "reason": schema.text,
    "samples": lambda name, value: numbers.integer(name, value, 1),
    "batch_size": lambda name, value: numbers.integer(name, value, 1),
    "seed": lambda name, value: numbers.integer(name, value, 0, 2**64 - 1),
    "shuffle": numbers.flag,
    "clip_value": schema.optional(numbers.positive),
    "clip_norm": schema.optional(numbers.positive),
    "ema": schema.optional(numbers.below_one),
    "scheduled": numbers.flag,
    "elapsed": lambda name, value: numbers.number(name, value, _REAL),
}


def expect_recorded(
    given: Mapping[str, Any], lists: Mapping[str, Array], apart: Collection[str]
) -> dict[str, Any]:
    """Return attributes of a history from those that a file has, checked.

    Parameters
    ----------
    given : mapping of str
        Those that are no lists.
    lists : mapping of str to ndarray
    apart : collection of str
        Those that are kept apart from both.

    Raises
    ------
    TypeError, ValueError
        If one is missing, or is not what a training records.
    """
    kinds = {
        f.name: str(f.type).startswith("list")
        for part in (TrainingLog, TrainingSettings, ResumeState)
        for f in fields(part)
        if f.name not in (*apart, "measured")
    }
    checks = {
        name: _CHECKS.get(
            name, schema.optional(lambda name, value: schema.alike(name, value, None))
        )
        for name, is_list in kinds.items()
        if not is_list
    }
    facts: dict[str, Any] = schema.entries(checks)("history", given)
    expected = {name for name, is_list in kinds.items() if is_list} | {*facts["metrics"]}
    schema.same_names("history", lists, sorted(expected))
    if facts["batch_size"] > facts["samples"]:
        raise ValueError(
            f"history.batch_size: expected at most {facts['samples']}, as many as there are "
            f"samples, got {facts['batch_size']}"
        )
    _expect_lists(facts, lists)
    return facts | {name: array.tolist() for name, array in lists.items()}


def _expect_lists(facts: Mapping[str, Any], lists: Mapping[str, Array]) -> None:
    """Raise ValueError unless lists have the lengths that go with each other, and numbers."""
    steps_per_epoch = -(-facts["samples"] // facts["batch_size"])
    epochs, steps = lists["loss"].size, lists["step_losses"].size
    lengths = {name: epochs for name in (*facts["metrics"], "lr", "seconds")}
    lengths |= {"step_losses": steps, "step_hits": steps}
    for name, array in lists.items():
        kinds = "i" if name == "step_hits" else "fiu"  # a user's own loss may give integers
        length = lengths.get(name, 0)
        if array.shape != (length,) or (length and array.dtype.kind not in kinds):
            raise ValueError(
                f"history/{name}: expected {length} {'integers' if kinds == 'i' else 'numbers'}, "
                f"got {array.dtype} of shape {array.shape}"
            )
    if not epochs * steps_per_epoch <= steps <= (epochs + 1) * steps_per_epoch:
        raise ValueError(
            f"history/step_losses: expected those of {epochs} epochs of {steps_per_epoch} steps, "
            f"got {steps}"
        )
    hits = lists["step_hits"]
    if steps and not (hits.min() >= 0 and hits.max() <= facts["batch_size"]):
        raise ValueError(f"history/step_hits: expected numbers from 0 to {facts['batch_size']}")
