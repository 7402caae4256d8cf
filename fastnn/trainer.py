"""The book's ``Trainer``."""

from fastnn.optimizers import OPTIMIZERS
from fastnn.training.trainer import Trainer

__all__ = ["OPTIMIZERS", "Trainer"]
