"""What the forward pass of a layer leaves to its backward pass."""

from __future__ import annotations

from typing import Any


def after_forward(layer: object, value: Any) -> Any:
    """Return what the forward pass has kept; raise RuntimeError if there was none."""
    if value is None:
        name = type(layer).__name__
        raise RuntimeError(f"{name}.backward: call forward first, with train_flg=True")
    return value
