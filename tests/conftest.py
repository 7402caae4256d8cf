"""What all tests share: reproducible hypothesis runs that say how to repeat a failure, Ctrl-C."""

import signal

import pytest
from hypothesis import settings

settings.register_profile("fastnn", derandomize=True, print_blob=True)
settings.load_profile("fastnn")


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C raise KeyboardInterrupt, also where the process that ran pytest ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
