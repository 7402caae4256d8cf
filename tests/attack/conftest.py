"""Attacks are on Linux: they watch /proc, limit memory and pin processes to cores."""

import sys

collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]
