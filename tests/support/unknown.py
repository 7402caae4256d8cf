"""A Python, or a NumPy, that keeps its objects otherwise than machine code looks for them."""

from contextlib import contextmanager
from unittest import mock

from fastnn.kernels.calls import routine
from fastnn.kernels.machine import layout
from fastnn.ops.updates import arrays as updates


@contextmanager
def unknown_layout():
    """Let the layout of objects be unknown inside a ``with`` block, and what is said of it new."""
    updates._warn_once.cache_clear()
    routine.enable(False)  # what looks into objects already
    try:
        with mock.patch.object(layout, "is_known", lambda: False):
            yield
    finally:
        routine.enable(True)
        updates._warn_once.cache_clear()
