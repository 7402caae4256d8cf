"""How the parts of steps are made: functions of integers, of compiled functions of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

from fastnn.kernels.codegen.memory import pointer, typed
from fastnn.kernels.program.tables import PROGRAM, STEP


def step_of(take: Any) -> Callable[[Any], Any]:
    """Return what makes a step, for a type of numbers, of a compiled function.

    Parameters
    ----------
    take : compiled function of (p, s, first, count, worker, like)
        Of the program, the step, the first row of a batch, how many there are, the number of the
        thread, and an array of the type of numbers.
    """

    def make(real: Any) -> Any:
        def step(data, index, first, count, worker):
            p, like = typed(data, 1, PROGRAM)[0], numba.carray(pointer(0), 0, real)
            take(p, typed(p.steps, index + 1, STEP)[index], first, count, worker, like)
            return 0

        return step

    return make
