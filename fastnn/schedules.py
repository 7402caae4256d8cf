"""Learning-rate schedules for ``network.fit``: see :mod:`fastnn.training.schedules`."""

# Pickles from before there was that module look for the functions behind schedules here.
from fastnn.training.schedules import (  # noqa: F401
    _cosine,
    _exponential,
    _inverse_time,
    _step_decay,
    _warmup,
    cosine,
    exponential,
    in_steps,
    inverse_time,
    step_decay,
    warmup,
)

__all__ = ["cosine", "exponential", "in_steps", "inverse_time", "step_decay", "warmup"]
