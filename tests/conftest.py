"""What tests share: hypothesis runs that repeat and say how to repeat a failure, Ctrl-C, routes."""

import os
import signal

import pytest
from hypothesis import settings

# Where nothing was compiled before, it would be said on the standard error that tests read.
os.environ["FASTNN_QUIET"] = "1"

# No deadline: how long an example takes is the machine's matter.
settings.register_profile("fastnn", derandomize=True, print_blob=True, deadline=None)
settings.load_profile("fastnn")


def pytest_report_header():
    """Say which machine code it is about, where that is not made here."""
    from fastnn.kernels.machine import code  # here, as the variable above is read by the import

    return f"machine code: {code.source()}" if code.library() else None


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C raise KeyboardInterrupt, also where the process that ran pytest ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(params=["program", "layers", "numpy"])
def route(request):
    """Return a function that lets a network take a route."""
    from fastnn import config  # here, as the variable above is read by the import

    def take(net):
        if request.param == "layers":
            net.gradient = net.gradient
        return net

    with config.use_backend("numpy" if request.param == "numpy" else "numba"):
        yield take
