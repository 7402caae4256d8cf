"""A kind of step of a training program.

Steps of layers are compiled functions of their own, which a program reaches by their addresses: it
knows nothing of them, and what a network does not need is neither compiled nor loaded. Those of
:mod:`fastnn.kernels.program.core` are part of the program itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np
from numpy.typing import DTypeLike

from fastnn.kernels.codegen.compile import address, inlined, part
from fastnn.kernels.codegen.memory import pointer, typed, vector
from fastnn.kernels.program.tables import BY_ADDRESS, PROGRAM, STEP, place

TYPES = np.dtype(np.float32), np.dtype(np.float64)


@dataclass(frozen=True, eq=False)
class Step:
    """A kind of step.

    Attributes
    ----------
    label : str
        What it does, for users.
    kind : int
        Of a step that is part of the program; `BY_ADDRESS` for all others.
    parts : dict of dtype to compiled function
        One for each type of numbers, of the address of the program, the number of the step, the
        first row of a batch, how many there are, and the number of the thread.
    """

    label: str
    kind: int = BY_ADDRESS
    parts: dict[np.dtype[Any], Any] = field(default_factory=dict)

    def address(self, dtype: DTypeLike) -> int:
        """Return where its function begins, compiled if need be; 0 for a part of the program."""
        return address(self.parts[np.dtype(dtype)]) if self.parts else 0


def by_type(make: Callable[[Any], Any], name: str, module: str) -> dict[np.dtype[Any], Any]:
    """Return what `make` makes for each type of numbers, to be called by its address.

    It is kept on disk under its name; its symbols are made of the qualified one, and two of one
    name in a process, from two files, would be taken for each other.
    """
    made = {}
    for dtype in TYPES:
        function = make(numba.from_dtype(dtype))
        function.__name__ = function.__qualname__ = f"{name}_{dtype.itemsize * 8}"
        function.__module__ = module
        made[dtype] = part(function)
    return made


def step_of(label: str, take: Any, origin: Any = None) -> Step:
    """Return the kind of step that a compiled function takes.

    Parameters
    ----------
    label : str
    take : compiled function of (p, s, first, count, worker, like)
        Of the program, the step, rows as in :class:`Step`, and an array of the type of numbers.
    origin : compiled function, optional
        What names it, and whose module says whether its machine code is kept; `take` if not given.
    """

    def make(real: Any) -> Any:
        def step(data, index, first, count, worker):  # type: ignore[no-untyped-def]
            p, like = typed(data, 1, PROGRAM)[0], numba.carray(pointer(0), 0, real)
            take(p, typed(p.steps, index + 1, STEP)[index], first, count, worker, like)

        return step

    named = getattr(origin or take, "py_func", origin or take)  # NUMBA_DISABLE_JIT has none
    return Step(label, parts=by_type(make, f"step_of_{named.__name__}", named.__module__))


def activation(label: str, each: Any, gradient: Any, setting: bool = False) -> tuple[Step, Step]:
    """Return the steps of an activation and of its gradient.

    Parameters
    ----------
    label : str
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
        def with_setting(x, setting, out):  # type: ignore[no-untyped-def]
            each(x, out)

        @inlined
        def gradient_with_setting(dout, kept, setting, dx):  # type: ignore[no-untyped-def]
            gradient(dout, kept, dx)

    @inlined
    def forward(p, s, first, count, worker, like):  # type: ignore[no-untyped-def]
        size, own = like.itemsize, worker * p.block
        source = place(s.source, s.source_local, first, own, s.d * size)
        target = place(s.target, s.target_local, first, own, s.h * size)
        y = vector(target, count * s.h, like)
        if source == target:  # one array to the compiler, too
            with_setting(y, s.setting, y)
        else:
            with_setting(vector(source, count * s.d, like), s.setting, y)

    @inlined
    def backward(p, s, first, count, worker, like):  # type: ignore[no-untyped-def]
        size, own = like.itemsize, worker * p.block
        target = place(s.target, s.target_local, first, own, s.h * size)
        other = place(s.other, s.other_local, first, own, s.h * size)
        d = vector(target, count * s.h, like)
        gradient_with_setting(d, vector(other, count * s.h, like), s.setting, d)

    return step_of(label, forward, each), step_of(f"gradient of {label}", backward, gradient)
