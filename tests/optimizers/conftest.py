"""Optimizers run on both backends."""

import pytest

from fastnn.config import use_backend


@pytest.fixture(params=["numba", "numpy"])
def backend(request):
    with use_backend(request.param):
        yield request.param
