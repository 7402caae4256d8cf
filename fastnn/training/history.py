"""What a training recorded, the settings that it goes by, and what it needs to go on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray

from fastnn._utils import html
from fastnn._utils.types import Array
from fastnn.ops.updates.owner import Owner
from fastnn.optimizers import OPTIMIZERS
from fastnn.optimizers.updater import Updater, as_of
from fastnn.program.executor import StepSettings
from fastnn.training import curves
from fastnn.training.divergence import Divergence
from fastnn.training.metrics import Metric
from fastnn.training.schedules import Schedule, describe
from fastnn.training.weights import Weights

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class TrainingSettings:
    """What a training goes by from its first step to its last, also when it is resumed.

    Attributes are those of :class:`History` with the same names.
    """

    samples: int
    batch_size: int
    seed: int
    shuffle: bool = True
    clip_value: float | None = None
    clip_norm: float | None = None
    ema: float | None = None
    scheduled: bool = False
    schedule: Schedule | None = field(default=None, compare=False)

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps in an epoch; the last one may have fewer samples."""
        return -(-self.samples // self.batch_size)

    @property
    def of_steps(self) -> StepSettings:
        """What an executor has to know of them."""
        return StepSettings(self.clip_value, self.clip_norm, self.ema)


@dataclass
class ResumeState:
    """What a training needs to go on, besides its settings and the losses of its steps.

    Attributes are those of :class:`History` with the same names.
    """

    elapsed: float = 0.0
    averages: dict[str, Array] | None = field(default=None, compare=False)
    optimizer: Updater | None = field(default=None, compare=False)
    owner: Owner | None = field(default=None, compare=False, repr=False)


@dataclass
class TrainingLog:
    """What was recorded of each step and each epoch.

    Attributes are those of :class:`History` with the same names.
    """

    metrics: tuple[str, ...]
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
    measured: dict[str, list[float]] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """Number of whole epochs."""
        return len(self.loss)

    def row(self, epoch: int) -> dict[str, float]:
        """Return what was recorded of an epoch, counted from 1, by name."""
        return {name: self[name][epoch - 1] for name in (*self.metrics, "lr", "seconds")}

    def __getitem__(self, name: str) -> list[float]:
        """Return what was recorded of each epoch under a name: "loss", "val_top_5_accuracy", ..."""
        names = (*self.metrics, "lr", "seconds")
        if name not in names:
            raise KeyError(f"expected one of {', '.join(names)}, got {name!r}")
        values: list[float] = self.measured[name] if name in self.measured else vars(self)[name]
        return values

    __iter__ = None  # it has names, and no order


class Left(NamedTuple):
    """The weights that a training goes on from, and those that the network has instead."""

    before: Weights
    instead: Weights


@dataclass(repr=False, init=False)
class History(TrainingLog):
    """What a training recorded.

    Attributes
    ----------
    metrics : tuple of str
        What is recorded of each epoch: "loss", and "accuracy" unless the loss is the mean squared
        error; those that `fit` was asked for; with validation data "val_loss", ... of all of them.
        ``history["val_loss"]`` is the list of one, also of "lr" and "seconds".
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
        Samples of each step that were classified correctly.
    measured : dict of str to list of float
        Of each metric that `fit` was asked for, at the end of each epoch and in inference mode, on
        the training data and, under "val_...", on the validation data.
    route, reason : str
        "program" or "layers", and why it was not the program.
    settings : TrainingSettings
        What the training goes by; a training that resumes this one takes it from here. Its
        attributes are the history's, too: those from `samples` to `scheduled`.
    samples, batch_size, seed : int
        Size of the training set, samples a step, what chose the order of samples.
    shuffle : bool
    clip_value, clip_norm, ema : float or None
    schedule : function or None
        As :meth:`~fastnn.networks.Network.fit` got them. Files and pickles hold schedules of
        :mod:`fastnn.schedules` only.
    scheduled : bool
        Whether there is a schedule.
    state : ResumeState
        What the training needs to go on. Its attributes are the history's, too: those below.
    elapsed : float
        Seconds spent on an epoch that is not whole yet, counted like `seconds`.
    averages : dict of str to ndarray, or None
        The moving average of the parameters, with `ema`.
    optimizer : Optimizer or None
        The one of the training, which goes on with it when it is resumed without another.
        Copies and pickles of the history have a copy of one of :mod:`fastnn.optimizers`, and none
        of one of your own; checkpoints have it apart.
    owner : Owner or None
        Of the parameters that it has updated in the training. Copies have none.
    diverged : Divergence or None
        Where the training stopped as its loss was not finite. What was recorded since the
        beginning of the epoch that the network was put back to is still in the lists, and goes
        when the training is resumed; files do not have it.
    interrupted : bool
        Whether Ctrl-C ended the training.
    functions : tuple of Metric
        What the metrics that `fit` was asked for are computed by. Files, copies and pickles have
        only the names.
    """

    settings: TrainingSettings = field(kw_only=True)
    state: ResumeState = field(kw_only=True)
    diverged: Divergence | None = field(kw_only=True, compare=False)
    interrupted: bool = field(kw_only=True, compare=False)
    _left: Left | None = field(kw_only=True, compare=False)
    functions: tuple[Metric, ...] = field(kw_only=True, compare=False)

    def __init__(
        self,
        metrics: tuple[str, ...],
        samples: int | None = None,
        batch_size: int | None = None,
        seed: int | None = None,
        *,
        settings: TrainingSettings | None = None,
        state: ResumeState | None = None,
        **others: Any,
    ) -> None:
        """Make a history of its attributes, those of its parts included, as :meth:`facts` says.

        Instead of settings and state by name there may be whole ones, as ``dataclasses.replace``
        gives them; what is given by name comes before these.
        """
        sizes = {"samples": samples, "batch_size": batch_size, "seed": seed}
        others |= {name: value for name, value in sizes.items() if value is not None}
        of_settings, of_state = _of(TrainingSettings, others), _of(ResumeState, others)
        self.diverged = others.pop("diverged", None)
        self.interrupted = others.pop("interrupted", False)
        self._left = others.pop("_left", None)
        self.functions = others.pop("functions", ())
        measured = dict(others.pop("measured", {}))
        for name in metrics:
            if name not in _names(TrainingLog):
                measured.setdefault(name, others.pop(name, []))
        super().__init__(metrics, measured=measured, **others)
        if settings is None:
            settings, of_settings = TrainingSettings(**of_settings), {}
        self.settings = replace(settings, **of_settings)
        self.state = replace(ResumeState() if state is None else state, **of_state)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; those of the history's parts there."""
        if name in _names(TrainingSettings):
            self.settings = replace(self.settings, **{name: value})
        elif name in _names(ResumeState):
            setattr(self.state, name, value)
        else:
            super().__setattr__(name, value)

    def facts(self) -> dict[str, Any]:
        """Return the attributes of the history and its parts, by name, for files.

        Of a training that has diverged, those of where the network was put back to.
        """
        facts = self._facts()
        if self.diverged is not None:
            for name, value in facts.items():
                if isinstance(value, list):
                    of_steps = name.startswith("step_")
                    facts[name] = value[: self.diverged.steps if of_steps else self.sound]
            facts["elapsed"] = 0.0
        return facts

    def _facts(self) -> dict[str, Any]:
        log = {f.name: getattr(self, f.name) for f in fields(TrainingLog)}
        facts = {**log.pop("measured"), **log, **vars(self.settings), **vars(self.state)}
        schedule = None if describe(self.schedule) is None else self.schedule
        known = type(self.optimizer) in OPTIMIZERS.values()
        optimizer = as_of(self.optimizer, self.owner) if known else None
        return {**facts, "optimizer": optimizer, "owner": None, "schedule": schedule}

    def __copy__(self) -> History:
        """Return one that goes on with the same optimizer, and whose settings are its own."""
        return replace(self)

    def __getstate__(self) -> dict[str, Any]:
        names = "diverged", "interrupted", "_left"
        return {**self._facts(), **{name: getattr(self, name) for name in names}}

    def __setstate__(self, facts: dict[str, Any]) -> None:
        vars(self).update(vars(History(**facts)))

    @property
    def sound(self) -> int:
        """Number of epochs that the network has behind it, after a divergence fewer than `epochs`.

        Those after them led to a loss that is not finite.
        """
        return self.epochs if self.diverged is None else self.diverged.steps // self.steps_per_epoch

    def rewind(self, network: Any) -> None:
        """Drop what belongs to no state of the network, as it is about to be trained on.

        Those are the steps from which a training that diverged was put back, and the weights that
        a callback put in the place of those to go on from, if they are still there.
        """
        if self.diverged is not None:
            self.state = replace(self.state, elapsed=0.0)
            for name, values in self.facts().items():
                if isinstance(values, list):
                    (self.measured if name in self.measured else vars(self))[name] = values
        last = self.last_weights(network)
        if last is not None:
            last.put(network, self.averages)
        self.diverged, self.interrupted, self._left = None, False, None

    def last_weights(self, network: Any) -> Weights | None:
        """Return the weights to go on from, if the network has others instead of them."""
        if self._left is None or not self._left.instead.are_those_of(network):
            return None
        return self._left.before

    def leave(self, network: Any, instead: Weights) -> None:
        """Put other weights into the network of a training until it is resumed."""
        before = self._left.before if self._left else Weights(network, self.averages)
        self._left = Left(before, instead)
        instead.put(network, self.averages)

    @property
    def samples(self) -> int:
        """Size of the training set."""
        return self.settings.samples

    @property
    def batch_size(self) -> int:
        """Samples a step."""
        return self.settings.batch_size

    @property
    def seed(self) -> int:
        """What chose the order of samples."""
        return self.settings.seed

    @property
    def shuffle(self) -> bool:
        """Whether each epoch takes the samples in a new order."""
        return self.settings.shuffle

    @property
    def clip_value(self) -> float | None:
        """To which size each element of the gradients is clipped."""
        return self.settings.clip_value

    @property
    def clip_norm(self) -> float | None:
        """To which norm gradients are scaled down."""
        return self.settings.clip_norm

    @property
    def ema(self) -> float | None:
        """Decay of the moving average of the parameters."""
        return self.settings.ema

    @property
    def scheduled(self) -> bool:
        """Whether there is a schedule."""
        return self.settings.scheduled

    @property
    def schedule(self) -> Schedule | None:
        """Factors on the learning rate."""
        return self.settings.schedule

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps in an epoch; the last one may have fewer samples."""
        return self.settings.steps_per_epoch

    @property
    def elapsed(self) -> float:
        """Seconds spent on an epoch that is not whole yet."""
        return self.state.elapsed

    @property
    def averages(self) -> dict[str, Array] | None:
        """The moving average of the parameters."""
        return self.state.averages

    @property
    def optimizer(self) -> Updater | None:
        """The optimizer of the training."""
        return self.state.optimizer

    @property
    def owner(self) -> Owner | None:
        """What the optimizer knows the parameters of the training by."""
        return self.state.owner

    def plot(self, names: str | Iterable[str] | None = None, ax: Any = None) -> NDArray[Any]:
        """Draw the loss and other metrics over the epochs, of training and validation data.

        Parameters
        ----------
        names : str or iterable of str, optional
            Which of `metrics`, without "val_"; all if not given.
        ax : matplotlib.axes.Axes, or as many as there are names, optional
            Where to draw. A single one gets the loss if there are no `names`. By default panels
            beside each other in a new figure.

        Returns
        -------
        ndarray of matplotlib.axes.Axes
            One for each name. ``axes[0].figure.savefig(path)`` writes the picture.

        Raises
        ------
        ImportError
            Without matplotlib, which the extra "plot" installs.
        ValueError
            If a name is none of what was recorded, or there are too few axes.
        """
        axes: NDArray[Any] = curves.plot(self, names, ax)
        return axes

    def to_frame(self) -> pandas.DataFrame:
        """Return what was recorded of each epoch as a data frame.

        Returns
        -------
        pandas.DataFrame
            A row for each epoch, counted from 1 in the index "epoch"; a column for each of
            `metrics`, and "lr" and "seconds".

        Raises
        ------
        ImportError
            Without pandas.
        """
        return curves.to_frame(self)

    def line(self, epoch: int) -> str:
        """Return what was recorded of an epoch, counted from 1, as text."""
        values = [f"{name} {self[name][epoch - 1]:.4f}" for name in self.metrics]
        seconds = self.seconds[epoch - 1]
        rate = self.samples / max(seconds, 1e-9)
        return ", ".join([*values, f"{seconds:.2f} s, {rate:,.0f} samples/s"])

    def _what(self) -> str:
        what = f"{self.epochs} epochs of {self.steps_per_epoch} steps, route {self.route}"
        if self.diverged is not None:
            what += f", stopped at step {self.diverged.step} and put back to {self.diverged.steps}"
        return what

    def __repr__(self) -> str:
        return f"History({self._what()}{': ' + self.line(self.epochs) if self.epochs else ''})"

    def _repr_html_(self) -> str:
        rows = []
        for epoch in range(1, self.epochs + 1):
            row = self.row(epoch)
            lr, seconds = row.pop("lr"), row.pop("seconds")
            values = [f"{value:.4f}" for value in row.values()]
            rows.append([str(epoch), *values, f"{lr:.3g}", f"{seconds:.2f}"])
        losses = {name: self[name] for name in self.metrics if name.endswith("loss")}
        return html.join(
            html.heading(f"History: {self._what()}{self.reason and f' ({self.reason})'}"),
            html.curves(losses),
            html.table(["epoch", *self.metrics, "lr", "seconds"], html.some_rows(rows)),
        )


@cache
def _names(part: type) -> frozenset[str]:
    return frozenset(f.name for f in fields(part))


def _of(part: type, facts: dict[str, Any]) -> dict[str, Any]:
    """Take the attributes of a part out of those of a history."""
    return {name: facts.pop(name) for name in _names(part) if name in facts}
