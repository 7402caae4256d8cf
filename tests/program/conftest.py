"""What tests of the training program on threads share."""

import pytest

from fastnn import get_num_threads, set_num_threads
from fastnn.kernels.threading import threads
from fastnn.kernels.tuning import COMMON
from fastnn.program import tables as tables_module

NOTHING = 1e-9  # nanoseconds of work: all steps are shared


@pytest.fixture(autouse=True)
def _restore_threads():
    before = get_num_threads()
    yield
    set_num_threads(before)


@pytest.fixture
def crowd(monkeypatch):
    """Let there be more threads than processors, which share each step of tiny networks."""
    run = tables_module.Tables.run

    def shared(tables, *args):
        tables.program["taken"], tables.program["alone"] = COMMON.alone_first, 1 << 60
        run(tables, *args)

    monkeypatch.setattr(tables_module.Tables, "run", shared)
    monkeypatch.setattr(threads, "_available", 5)
    monkeypatch.setattr(tables_module, "_WORTH", NOTHING)
