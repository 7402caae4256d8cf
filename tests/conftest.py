"""What all tests share: reproducible hypothesis runs that say how to repeat a failure."""

import os

from hypothesis import settings

# Where nothing was compiled before, it would be said on the standard error that tests read.
os.environ["FASTNN_QUIET"] = "1"

settings.register_profile("fastnn", derandomize=True, print_blob=True)
settings.load_profile("fastnn")
