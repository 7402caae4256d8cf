"""How the parts of steps are made: functions of integers, of compiled functions of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

from fastnn.kernels.codegen.compile import inlined
from fastnn.kernels.codegen.memory import pointer, typed, vector
from fastnn.kernels.program.places import place
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


def activation(name: str, each: Any, gradient: Any, setting: bool = False) -> dict[str, Any]:
    """Return what makes the steps of an activation and of its gradient, by the names of the parts.

    Parameters
    ----------
    name : str
    each : compiled function of (x, out), or (x, setting, out)
        Writes the activation of x. Both may be one array, or share no memory.
    gradient : compiled function of (dout, kept, dx), or (dout, kept, setting, dx)
        Writes the gradient with respect to the input; `dx` is `dout`. `kept` is the output of the
        forward pass, or its input, as the layer has it.
    setting : bool
        Whether these take a setting of the layer.
    """
    with_setting, gradient_with_setting = each, gradient
    if not setting:

        @inlined
        def with_setting(x, setting, out):
            each(x, out)

        @inlined
        def gradient_with_setting(dout, kept, setting, dx):
            gradient(dout, kept, dx)

    @inlined
    def forward(p, s, first, count, worker, like):
        size, own = like.itemsize, worker * p.block
        source = place(s.source, s.source_local, first, own, s.d * size)
        target = place(s.target, s.target_local, first, own, s.h * size)
        y = vector(target, count * s.h, like)
        if source == target:  # one array to the compiler, too
            with_setting(y, s.setting, y)
        else:
            with_setting(vector(source, count * s.d, like), s.setting, y)

    @inlined
    def backward(p, s, first, count, worker, like):
        size, own = like.itemsize, worker * p.block
        target = place(s.target, s.target_local, first, own, s.h * size)
        other = place(s.other, s.other_local, first, own, s.h * size)
        d = vector(target, count * s.h, like)
        gradient_with_setting(d, vector(other, count * s.h, like), s.setting, d)

    return {f"step_of_{name}": step_of(forward), f"step_of_{name}_gradient": step_of(backward)}
