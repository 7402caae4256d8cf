"""The command line: ``python -m fastnn``."""
