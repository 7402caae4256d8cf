"""What all tests share: reproducible hypothesis runs that say how to repeat a failure."""

from hypothesis import settings

settings.register_profile("fastnn", derandomize=True, print_blob=True)
settings.load_profile("fastnn")
