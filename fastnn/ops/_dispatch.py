"""The one place where a call goes to a kernel or to its NumPy twin."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import config, kernels, reference
from fastnn.kernels import threads


def run(name: str, work: int, *args: Any) -> None:
    """Call the kernel or the twin called `name`.

    Parameters
    ----------
    name : str
    work : int
        Cost of the call, counted in elements of a cheap elementwise loop.
    *args
        The twin's arguments, checked.
    """
    if config.get_backend() == "numba":
        threads.run(getattr(kernels, name), args, work)
    else:
        # As in the kernels, overflow and the like show in the result only.
        with np.errstate(all="ignore"):
            getattr(reference, name)(*args)
