"""How a training begins: with a new history, or with that of a training to resume."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from fastnn.layers.record import right_of
from fastnn.optimizers.updater import give_back, whose
from fastnn.program.executor import Executor
from fastnn.training.history import History, TrainingSettings
from fastnn.training.metrics import Metric, built_in, expect_for
from fastnn.training.settings import FitSettings


def metrics_of_training(network: Any, wanted: FitSettings) -> tuple[Metric, ...]:
    """Return the metrics to record besides those that each step gives, checked.

    Without an argument they are those of the history to resume.

    Raises
    ------
    ValueError
        If they are not for such networks, or the history to resume has lost a user's function.
    """
    metrics, resume, known = wanted.metrics, wanted.resume, _of_steps(network)
    if metrics is None:
        if resume is None:
            return ()
        metrics = _metrics_of(resume, known)
    expect_for(network, metrics)
    return tuple(metric for metric in metrics if metric.name not in known)


def _metrics_of(resume: History, known: list[str]) -> tuple[Metric, ...]:
    found = {metric.name: metric for metric in resume.functions}
    for name in resume.metrics:
        if name in found or name in known or name.startswith("val_"):
            continue
        metric = built_in(name)
        if metric is None:
            raise ValueError(
                "metrics: expected those of the training to resume, given again, as its file or "
                f"pickle could not hold the function {name}, got None"
            )
        found[name] = metric
    return tuple(found.values())


def _of_steps(network: Any) -> list[str]:
    """Return what each step gives."""
    return ["loss"] if right_of(network) is None else ["loss", "accuracy"]


def history_of(
    network: Any,
    samples: int,
    validated: bool,
    wanted: FitSettings,
    measured: tuple[Metric, ...] = (),
) -> History:
    """Return a new history, or the one to go on with if it is of such a training.

    Parameters
    ----------
    network : Network
    samples : int
        Size of the training set.
    validated : bool
        Whether there are validation data.
    wanted : FitSettings
    measured : tuple of Metric
        What is recorded besides the loss, and accuracy.

    Raises
    ------
    ValueError
        If the history to resume is of another training.
    """
    kinds = [*_of_steps(network), *(metric.name for metric in measured)]
    if validated:
        kinds += [f"val_{kind}" for kind in kinds]
    metrics, batch_size, seed = tuple(kinds), min(wanted.batch_size, samples), wanted.seed
    resume = wanted.resume
    if resume is None:
        if seed is None:
            seed = int(np.random.default_rng().integers(2**63))
        return History(metrics, samples, batch_size, seed)
    same = {"metrics": metrics, "samples": samples, "batch_size": batch_size}
    if seed is not None:
        same["seed"] = seed
    for name, value in same.items():
        if getattr(resume, name) != value:
            raise ValueError(
                f"resume: expected a history with {name} {value}, like this training, "
                f"got {getattr(resume, name)}"
            )
    if resume.scheduled and resume.schedule is None and wanted.schedule is None:
        raise ValueError(
            "schedule: expected the function of the training to resume, given again, as its file "
            "or pickle could not hold it, got None"
        )
    return resume


def settings_of(history: History, wanted: FitSettings) -> TrainingSettings:
    """Return the settings of a history, changed where `fit` is asked for others."""
    settings = replace(history.settings, **wanted.changes())
    return replace(settings, scheduled=settings.schedule is not None)


def continue_averages(executor: Executor, history: History) -> None:
    """Let an executor go on with the moving averages of a history, if it has any.

    Raises
    ------
    ValueError
        If they are of other parameters.
    """
    ours, theirs = executor.averages, history.averages
    if ours is None or theirs is None:
        return
    if ours.keys() != theirs.keys():
        raise ValueError(
            f"resume: expected a history with averages of {', '.join(ours)}, "
            f"like this network, got {', '.join(theirs)}"
        )
    for key, average in ours.items():
        average[...] = theirs[key]


@contextmanager
def unlearned_unless_begun(network: Any) -> Iterator[None]:
    """Let the network forget classes and names of columns if an error comes before its training."""
    before, history = (network._classes, network.feature_names), network.history
    try:
        yield
    except BaseException:  # Ctrl-C, too
        if network.history is history:
            network._classes, network.feature_names = before
        raise


@contextmanager
def undone_unless_begun(network: Any, history: History, optimizer: Any) -> Iterator[None]:
    """Put histories and the optimizer back if an error comes before the first step."""
    before, of_network = dict(vars(history)), network.history
    owner = whose(optimizer)
    left = history.last_weights(network) is not None
    history.rewind(network)
    first = len(history.step_losses)
    try:
        yield
    except Exception:
        if len(history.step_losses) == first:
            vars(history).update(before)
            if left:
                before["_left"].instead.put(network, history.averages)
            network.history = of_network
            give_back(optimizer, owner)
        raise
