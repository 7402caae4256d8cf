"""What a training recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastnn._utils import html
from fastnn._utils.types import Array
from fastnn.training.schedules import Schedule, describe


@dataclass(repr=False)
class History:
    """What a training recorded.

    Attributes
    ----------
    metrics : tuple of str
        Which of the four lists below are kept: "loss", and "accuracy" unless the loss is the
        mean squared error; "val_loss" and "val_accuracy" with validation data.
    loss, accuracy : list of float
        For each epoch, the mean over its samples, each taken when its batch came by: before
        that step's update, in training mode, without weight penalty.
    val_loss, val_accuracy : list of float
        For each epoch, on the validation data at its end, in inference mode, without penalty.
    lr : list of float
        Learning rate of each epoch's last step.
    seconds : list of float
        What each epoch took, without validation, callbacks, and the compiling and loading of
        kernels.
    step_losses : list of float
        Loss of each step; those of an epoch that was interrupted are here too.
    step_hits : list of int
        Samples of each step that were classified right.
    elapsed : float
        Seconds spent on an epoch that is not whole yet, counted like `seconds`.
    shuffle : bool
    clip_value, clip_norm, ema : float or None
    schedule : function or None
        As :meth:`~fastnn.networks.Network.fit` got them; a training that resumes
        this one takes them from here. Files and pickles hold schedules of
        :mod:`fastnn.schedules` only.
    scheduled : bool
        Whether there is a schedule.
    averages : dict of str to ndarray, or None
        The moving average of the parameters, with `ema`.
    optimizer : Optimizer or None
        The one of the training, which goes on with it when it is resumed without another.
        Copies and files of the history do not have it.
    route, reason : str
        "program" or "layers", and why it was not the program.
    samples, batch_size, seed : int
        Size of the training set, samples a step, what chose the order of samples.
    """

    metrics: tuple[str, ...]
    samples: int
    batch_size: int
    seed: int
    route: str = ""
    reason: str = ""
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    step_losses: list[float] = field(default_factory=list)
    step_hits: list[int] = field(default_factory=list)
    elapsed: float = 0.0
    shuffle: bool = True
    clip_value: float | None = None
    clip_norm: float | None = None
    ema: float | None = None
    scheduled: bool = False
    schedule: Schedule | None = field(default=None, compare=False)
    averages: dict[str, Array] | None = field(default=None, compare=False)
    optimizer: Any = field(default=None, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        schedule = None if describe(self.schedule) is None else self.schedule
        return {**self.__dict__, "optimizer": None, "schedule": schedule}

    @property
    def epochs(self) -> int:
        """Number of whole epochs."""
        return len(self.loss)

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps in an epoch; the last one may have fewer samples."""
        return -(-self.samples // self.batch_size)

    def row(self, epoch: int) -> dict[str, float]:
        """Return what was recorded of an epoch, from 1 up, by name."""
        names = (*self.metrics, "lr", "seconds")
        return {name: getattr(self, name)[epoch - 1] for name in names}

    def line(self, epoch: int) -> str:
        """Return what was recorded of an epoch, from 1 up, as text."""
        values = [f"{name} {getattr(self, name)[epoch - 1]:.4f}" for name in self.metrics]
        seconds = self.seconds[epoch - 1]
        rate = self.samples / max(seconds, 1e-9)
        return ", ".join([*values, f"{seconds:.2f} s, {rate:,.0f} samples/s"])

    def _what(self) -> str:
        return f"{self.epochs} epochs of {self.steps_per_epoch} steps, route {self.route}"

    def __repr__(self) -> str:
        return f"History({self._what()}{': ' + self.line(self.epochs) if self.epochs else ''})"

    def _repr_html_(self) -> str:
        rows = []
        for epoch in range(1, self.epochs + 1):
            row = self.row(epoch)
            lr, seconds = row.pop("lr"), row.pop("seconds")
            values = [f"{value:.4f}" for value in row.values()]
            rows.append([str(epoch), *values, f"{lr:.3g}", f"{seconds:.2f}"])
        losses = {name: getattr(self, name) for name in self.metrics if name.endswith("loss")}
        return html.join(
            html.heading(f"History: {self._what()}{self.reason and f' ({self.reason})'}"),
            html.curves(losses),
            html.table(["epoch", *self.metrics, "lr", "seconds"], html.some_rows(rows)),
        )
