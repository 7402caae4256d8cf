"""Attacks are on Linux: they watch /proc, limit memory and pin processes to cores."""

import sys

import pytest

from fastnn import config

collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]


@pytest.fixture(autouse=True)
def threads():
    """Put the number of threads back, which attacks change."""
    before = config.get_num_threads()
    yield
    config.set_num_threads(before)
