"""What cases run on."""

from contextlib import contextmanager

import fastnn

DTYPES = "float32", "float64"
SETTINGS = ("numba", 1), ("numba", 2), ("numpy", 1)


@contextmanager
def running(backend, threads):
    """Run on a backend and a number of threads."""
    before = fastnn.get_num_threads()
    fastnn.set_num_threads(threads)
    try:
        with fastnn.config.use_backend(backend):
            yield
    finally:
        fastnn.set_num_threads(before)
