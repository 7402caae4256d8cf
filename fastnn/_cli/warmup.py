"""What ``python -m fastnn warmup`` does: compile all machine code, so that it is on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from fastnn.kernels.machine import catalogue, code

DTYPES = ("float32", "float64")


def steps(dtype: str) -> Iterator[tuple[str, Callable[[], int]]]:
    """Yield what to show and what to call for each thing to compile, for one dtype.

    What is the same for all comes with one of them, so that both take as long.
    """
    if dtype == DTYPES[1]:
        for name in catalogue.CALLERS:
            yield name.removeprefix("fastnn_"), partial(code.caller, name)
    for name in (*catalogue.kernels(), *catalogue.parts()):
        if catalogue.is_real(name):
            yield f"{name} {dtype}", partial(code.address, name, np.dtype(dtype))
        elif dtype == DTYPES[0]:
            yield name, partial(code.address, name)
