"""What a training asks of an optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.optimizers import OPTIMIZERS


class Updater(Protocol):
    """What a training asks of an optimizer."""

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        """Change the arrays in `params` in place."""
        ...


def rate_of(optimizer: Updater) -> float | None:
    """Return the learning rate of an optimizer, or None if it has no such number."""
    rate = getattr(optimizer, "lr", None)
    return float(rate) if isinstance(rate, (int, float, np.number)) else None


def optimizer_of(optimizer: Any, settings: Mapping[str, Any]) -> Updater:
    """Return an optimizer that is named, made with the settings, or the one that is given."""
    if isinstance(optimizer, str):
        name = numbers.one_of("optimizer", optimizer.lower(), tuple(OPTIMIZERS))
        return OPTIMIZERS[name](**settings)
    # A dict and a set have an update of their own.
    others = type, Mapping, set
    if isinstance(optimizer, others) or not callable(getattr(optimizer, "update", None)):
        raise TypeError(
            "optimizer: expected a name or an optimizer, an object with update(params, grads), "
            f"got {optimizer!r}"
        )
    return optimizer  # type: ignore[no-any-return]
