"""What all tests share: reproducible hypothesis runs that say how to repeat a failure, Ctrl-C."""

import os
import signal

import pytest
from hypothesis import settings

# Where nothing was compiled before, it would be said on the standard error that tests read.
os.environ["FASTNN_QUIET"] = "1"

settings.register_profile("fastnn", derandomize=True, print_blob=True)
settings.load_profile("fastnn")


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C raise KeyboardInterrupt, also where the process that ran pytest ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
