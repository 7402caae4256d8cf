"""What a training recorded, as a picture and as a data frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._utils import distribution
from fastnn._utils import validation as numbers

if TYPE_CHECKING:
    from fastnn.training.history import TrainingLog

_TRAIN, _VALIDATION = "tab:blue", "tab:orange"
_SIZE = 4.0, 3.2  # inches of a panel
_ABREAST = 3  # panels in a row
_DOTS = 30  # epochs, from which on points are not marked
_NONE = "no epoch yet"


def plot(log: TrainingLog, names: str | Iterable[str] | None, ax: Any) -> Any:
    """Draw curves over epochs; see :meth:`fastnn.fit.History.plot`."""
    kinds = [name for name in log.metrics if not name.startswith("val_")]
    wanted = _wanted(names, kinds)
    if ax is None:
        axes = _new(len(wanted or kinds))
    else:
        axes = np.array([ax] if not isinstance(ax, (Sequence, np.ndarray)) else ax, object).ravel()
        if len(axes) == 1 and wanted is None:
            wanted = kinds[:1]
    panels = wanted or kinds
    if len(axes) < len(panels) or not all(hasattr(each, "plot") for each in axes):
        raise ValueError(
            f"ax: expected axes of matplotlib, one for each of {', '.join(panels)}, got "
            f"{numbers.brief(ax)}"
        )
    for each, name in zip(axes, panels, strict=False):
        _panel(each, log, name)
    return axes[: len(panels)]


def _wanted(names: str | Iterable[str] | None, kinds: list[str]) -> list[str] | None:
    if names is None:
        return None
    given = [names] if isinstance(names, str) else list(names)
    for name in given:
        numbers.one_of("names", name, tuple(kinds))
    if not given:
        raise ValueError(f"names: expected some of {', '.join(kinds)}, got none")
    return given


def _new(count: int) -> Any:
    """Return the axes of a new figure."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        command = distribution.install_command("plot")
        raise ImportError(f"plot needs matplotlib: {command}") from error
    columns = min(count, _ABREAST)
    rows = -(-count // columns)
    size = _SIZE[0] * columns, _SIZE[1] * rows
    figure, axes = pyplot.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for unused in axes.flat[count:]:
        figure.delaxes(unused)
    return axes.ravel()[:count]


def _panel(ax: Any, log: TrainingLog, name: str) -> None:
    """Draw a metric of the training data, and of the validation data."""
    from matplotlib.ticker import MaxNLocator

    drawn = {"training": (name, _TRAIN, "-"), "validation": (f"val_{name}", _VALIDATION, "--")}
    for label, (recorded, colour, line) in drawn.items():
        if recorded not in log.metrics:
            continue
        values = np.array(log[recorded], np.float64)
        values[~np.isfinite(values)] = np.nan
        marker = "o" if len(values) <= _DOTS else ""
        epochs = np.arange(1, len(values) + 1)
        ax.plot(epochs, values, line, color=colour, marker=marker, markersize=3, label=label)
    ax.set(xlabel="epoch", ylabel=name.replace("_", " "))
    whole = MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
    ax.xaxis.set_major_locator(whole)
    ax.grid(alpha=0.3)
    if log.epochs == 0:
        ax.text(0.5, 0.5, _NONE, transform=ax.transAxes, ha="center", va="center", color="0.5")
        ax.set(xticks=[], yticks=[])
        return
    if log.epochs == 1:
        ax.set(xlim=(0.5, 1.5))
    if f"val_{name}" in log.metrics:
        ax.legend(frameon=False)


def to_frame(log: TrainingLog) -> Any:
    """Return a data frame; see :meth:`fastnn.fit.History.to_frame`."""
    try:
        from pandas import DataFrame, RangeIndex
    except ImportError as error:
        raise ImportError("to_frame needs pandas: pip install pandas") from error
    columns = {name: log[name] for name in (*log.metrics, "lr", "seconds")}
    index = RangeIndex(1, log.epochs + 1, name="epoch")
    return DataFrame(columns, index=index, dtype=np.float64)
