"""``network.fit``: its settings, the history that it returns, and the type of its schedules."""

from fastnn.training.divergence import Divergence, DivergenceWarning
from fastnn.training.history import History
from fastnn.training.loop import fit
from fastnn.training.schedules import Schedule
from fastnn.training.settings import FitSettings

__all__ = ["Divergence", "DivergenceWarning", "FitSettings", "History", "Schedule", "fit"]
