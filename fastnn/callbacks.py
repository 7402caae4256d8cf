"""Callbacks for ``network.fit``: see :mod:`fastnn.training.callbacks`."""

from fastnn.training.callbacks import (
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    ReduceLROnPlateau,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)

__all__ = [
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "ReduceLROnPlateau",
    "load_checkpoint",
    "newest_checkpoint",
    "save_checkpoint",
]
