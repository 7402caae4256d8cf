"""Which executor carries out the steps of a training."""

from __future__ import annotations

from typing import Any

from fastnn._utils.types import Float64s, Samples
from fastnn.layers.adoption import is_ours, refresh
from fastnn.layers.planning import Unsupported
from fastnn.layers.record import record_of
from fastnn.layers.state import named_layers
from fastnn.ops._dispatch import compiled
from fastnn.optimizers import OPTIMIZERS
from fastnn.optimizers.updater import Updater, go_on
from fastnn.program import Program
from fastnn.program.executor import Executor, Network, StepSettings
from fastnn.training.layerwise import LayerSteps


def is_known(network: Any, optimizer: Updater) -> bool:
    """Say whether all layers and the optimizer are fastnn's, which keep no state of their own."""
    layers = [*named_layers(network).values(), network.last_layer]
    return type(optimizer) in OPTIMIZERS.values() and all(map(record_of, layers))


def choose(
    network: Network,
    optimizer: Updater,
    x: Samples,
    t: Samples,
    batch_size: int,
    settings: StepSettings,
    weights: Float64s | None = None,
) -> Executor:
    """Return the compiled program where there is one, else the way layer by layer."""
    refresh(network)
    go_on(optimizer, network)
    if is_ours(network) and not network.params:
        raise ValueError("network: expected layers with parameters, got none that has any")
    if compiled():
        try:
            return Program(network, optimizer, x, t, batch_size, settings, weights)
        except Unsupported as error:
            reason = str(error)
    else:
        reason = "the backend is numpy"
    return LayerSteps(network, optimizer, x, t, batch_size, settings, reason, weights)
