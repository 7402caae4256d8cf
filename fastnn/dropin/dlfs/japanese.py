"""What differs in the repository of the Japanese edition: functions."""

from __future__ import annotations

from typing import Any

from fastnn.dropin.dlfs import functions

__all__ = ["softmax", "softmax_loss", "sum_squared_error"]

sum_squared_error = functions.mean_squared_error


def softmax(x: Any) -> Any:
    """Return probabilities from scores, along the last axis."""
    return functions._softmax(x, -1)


def softmax_loss(X: Any, t: Any) -> Any:
    """Return the cross-entropy of softmax(X)."""
    return functions.cross_entropy_error(softmax(X), t)
