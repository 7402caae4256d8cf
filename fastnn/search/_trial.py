"""What the training function of a search is called with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, SupportsFloat

from fastnn._utils import validation as numbers
from fastnn.training.callbacks import Callback

__all__ = ["Trial"]

State = Literal["complete", "pruned", "diverged"]


class Trial(Callback):
    """One trial of a search: its values, and where its training reports to.

    It is a callback: in the `callbacks` of ``network.fit`` it keeps what each epoch records, and
    ends the training when it has diverged or goes badly. A loop of one's own calls
    :meth:`report` instead.

    Attributes
    ----------
    values : mapping of str
        The hyper-parameters, by name; ``trial["lr"]`` is short for ``trial.values["lr"]``.
    number : int
        Counted from 0. Trial 7 has the same number and the same values each time that a search by
        random numbers is run with this seed, whichever process runs it: a seed for the network.
    state : {"complete", "pruned", "diverged"}
        What it would be if it ended now.
    curves : dict of str to list of float
        What was reported, epoch by epoch.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        number: int,
        epochs: int | None,
        metric: str,
        is_bad: Callable[[int, float], bool],
    ) -> None:
        self.values: Mapping[str, Any] = MappingProxyType(dict(values))
        self.number = number
        self.state: State = "complete"
        self.curves: dict[str, list[float]] = {}
        self._epochs, self._metric, self._is_bad = epochs, metric, is_bad

    def __getitem__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise KeyError(f"{name!r}: this search has {', '.join(self.values)}") from None

    def __repr__(self) -> str:
        return f"Trial({self.number}, {dict(self.values)})"

    @property
    def epochs(self) -> int:
        """For how many epochs to train: the `epochs` of the search, or of its stage."""
        if self._epochs is None:
            raise ValueError("trial.epochs: this search was started without epochs=")
        return self._epochs

    def report(self, value: SupportsFloat, **others: SupportsFloat) -> bool:
        """Keep what an epoch gave.

        Parameters
        ----------
        value : float
            The metric of the search.
        **others : float
            More curves to keep, by name: a training loss, say.

        Returns
        -------
        bool
            Whether the training should end: something is NaN or infinite, or the trial is worse
            than others were at this epoch.

        Raises
        ------
        TypeError
            If something is not a number.
        """
        row = {name: _float(name, v) for name, v in {self._metric: value, **others}.items()}
        for name, number in row.items():
            self.curves.setdefault(name, []).append(number)
        if not all(map(math.isfinite, row.values())):
            self.state = "diverged"
        elif self.state == "complete":
            epoch = len(self.curves[self._metric])
            # What has run to its end is a whole trial.
            if epoch != self._epochs and self._is_bad(epoch, row[self._metric]):
                self.state = "pruned"
        return self.state != "complete"

    def on_train_begin(self) -> None:
        """Look whether the training records the metric."""
        metric, recorded = self._metric, self.history.metrics
        if metric.startswith("val_") and metric not in recorded:
            raise ValueError(f"metric of the search: {metric!r} needs fit(..., validation=...)")
        numbers.one_of("metric of the search", metric, recorded)

    def on_epoch_end(self, epoch: int) -> bool:
        """Report what the epoch recorded; return whether the training should end."""
        row = self.history.row(epoch)
        others = {name: row[name] for name in self.history.metrics if name != self._metric}
        return self.report(row[self._metric], **others)

    def on_train_end(self) -> None:
        """Report NaN of a training that ended as its loss was not finite."""
        if self.history.diverged is not None and self.state != "diverged":
            row = dict.fromkeys(self.history.metrics, math.nan)
            self.report(row.pop(self._metric), **row)


def _float(name: str, value: SupportsFloat) -> float:
    """Return a number, which may be NaN or infinite."""
    try:
        if not isinstance(value, (str, bytes, bytearray)):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"{name}: expected a number, got {value!r}")
