"""Learning-rate schedules for ``network.fit``: see :mod:`fastnn.training.schedules`."""

from fastnn.training.schedules import (
    cosine,
    exponential,
    in_steps,
    inverse_time,
    step_decay,
    warmup,
)

__all__ = ["cosine", "exponential", "in_steps", "inverse_time", "step_decay", "warmup"]
