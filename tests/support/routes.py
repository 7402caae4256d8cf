"""Routes of a training: through the layers, the program, or what a test puts in its place."""

from fastnn.layers.planning import Unsupported
from fastnn.optimizers.updater import rate_of
from fastnn.program.executor import StepSettings
from fastnn.training import choice, runner
from fastnn.training.choice import choose
from fastnn.training.layerwise import LayerSteps
from fastnn.training.runner import STRETCH

__all__ = [
    "STRETCH",
    "StepSettings",
    "Unsupported",
    "by_layers",
    "choose",
    "rate_of",
    "replace_program",
    "set_stretch",
]


def by_layers(network, optimizer, x, t, batch_size, settings, weights=None):
    """Return the route through the layers, with the arguments of a program."""
    return LayerSteps(network, optimizer, x, t, batch_size, settings, "asked for", weights)


def replace_program(monkeypatch, make):
    """Let trainings ask `make` for a route where they would ask for a program."""
    monkeypatch.setattr(choice, "Program", make)


def set_stretch(monkeypatch, seconds):
    """Let trainings take as many steps at once as take so long."""
    monkeypatch.setattr(runner, "STRETCH", seconds)
