"""What happens at the end of each epoch of ``network.fit``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastnn.fit import History

__all__ = ["Callback"]


class Callback:
    """Base of callbacks: override what is needed.

    Attributes
    ----------
    network, optimizer, history
        Those of the training, set before :meth:`on_train_begin`.
    """

    network: Any
    optimizer: Any
    history: History

    def on_train_begin(self) -> None:
        """Act before the first epoch."""

    def on_epoch_end(self, epoch: int) -> bool | None:
        """Act after an epoch, from 1 up; return True to end the training."""
        return None

    def on_train_end(self) -> None:
        """Act at the end of the training, unless an exception ended it."""
