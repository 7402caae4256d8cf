"""Trainings take the layerwise route, or one that is made up."""

import pytest
from fitting import Fake
from routes import by_layers, replace_program


@pytest.fixture
def layerwise(monkeypatch):
    """Train layer by layer, whatever else there is."""
    replace_program(monkeypatch, by_layers)


@pytest.fixture
def fake(monkeypatch):
    def install(**settings):
        route = Fake(**settings)
        replace_program(monkeypatch, route)
        return route

    return install
