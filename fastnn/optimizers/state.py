"""What an optimizer keeps: settings and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import optimizers
from fastnn._utils.types import Array


def _plain(value: Any) -> bool:
    return isinstance(value, np.ndarray) and not value.dtype.hasobject


def optimizer_state(optimizer: optimizers.Optimizer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an optimizer's numbers and strings by name, and its dicts of arrays by name.

    Raises
    ------
    TypeError
        If it has an attribute of another kind.
    """
    settings: dict[str, Any] = {}
    arrays: dict[str, dict[str, Array] | None] = {}
    for name, value in vars(optimizer).items():
        if isinstance(value, (bool, int, float, str)):
            settings[name] = value
        elif isinstance(value, np.number):
            settings[name] = value.item()
        elif value is None or (isinstance(value, dict) and all(map(_plain, value.values()))):
            arrays[name] = value
        else:
            raise TypeError(
                f"optimizer: expected numbers, strings and dicts of arrays as attributes, "
                f"got {name} of {type(value).__name__}"
            )
    return settings, arrays
