"""``network.fit``: the record that it keeps, and the type of its schedules."""

from fastnn.training.history import History
from fastnn.training.loop import fit
from fastnn.training.schedules import Schedule

__all__ = ["History", "Schedule", "fit"]
