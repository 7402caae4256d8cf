"""Training of a network on a data set: what ``network.fit`` does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike

from fastnn.optimizers.updater import in_training, owner_of
from fastnn.training.beginning import (
    continue_averages,
    history_of,
    metrics_of_training,
    settings_of,
    undone_unless_begun,
    unlearned_unless_begun,
)
from fastnn.training.choice import choose
from fastnn.training.data import samples, split
from fastnn.training.epochs import Epochs
from fastnn.training.history import History, ResumeState
from fastnn.training.sample_weights import weights_for
from fastnn.training.settings import FitSettings


def fit(network: Any, x: ArrayLike, t: ArrayLike, settings: FitSettings) -> History:
    """Train a network: see :meth:`fastnn.Network.fit`.

    Parameters
    ----------
    network : Network
    x, t : array_like
        Samples and targets.
    settings : FitSettings
        All other arguments.

    Returns
    -------
    History

    Raises
    ------
    TypeError, ValueError
        If the data do not fit the network or the history to resume; nothing has been changed
        then.
    """
    with unlearned_unless_begun(network):
        return _fit(network, x, t, settings)


def _fit(network: Any, x: ArrayLike, t: ArrayLike, settings: FitSettings) -> History:
    x, t = samples(network, x, t, learns=True)
    metrics = metrics_of_training(network, settings)
    weights = weights_for(network, t, len(x), settings.sample_weight, settings.class_weight)
    parts = split(network, x, t, weights, settings.validation)
    x, t = parts.data
    history = history_of(network, len(x), parts.held_out is not None, settings, metrics)
    optimizer = settings.optimizer
    owner = history.owner if optimizer is history.optimizer else None
    undone = undone_unless_begun(network, history, optimizer)
    with undone, in_training(optimizer, owner, network):
        history.settings = settings_of(history, settings)
        stops = settings.on_divergence == "stop"
        of_steps = replace(history.settings.of_steps, stops=stops)
        executor = choose(network, optimizer, x, t, history.batch_size, of_steps, parts.weights)
        history.route, history.reason = executor.name, executor.reason
        continue_averages(executor, history)
        state = history.elapsed, executor.averages, optimizer, owner_of(network)
        history.state = ResumeState(*state)
        history.functions = metrics
        network.history = history
        Epochs(network, history, executor, settings, parts).run()
    return history
