"""What is made of the step of an update rule: a kernel, and a function that programs call.

The step alone is written, in a file of its own: a loop over a parameter `p`, its gradient `g` and
its states, which are flat arrays of one length. After them it takes its settings, numbers, in the
order of its record (:class:`fastnn.ops.updates.rule.Rule`)::

    @rule(states=1)
    def momentum_(p, g, v, lr, momentum, weight_decay):
        ...
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np

from fastnn.kernels.codegen.compile import alone, serial
from fastnn.kernels.codegen.fused import multiply_add
from fastnn.kernels.codegen.memory import pointer, vector
from fastnn.kernels.codegen.raw import number, word
from fastnn.kernels.plain.table import LINE
from fastnn.kernels.threading.driver import kernel
from fastnn.kernels.updates import tables

# The kernel takes a table of arrays (see :mod:`tables`), and so updates any number of parameters.
# The names of its own begin with an underscore.
_KERNEL = """
def {name}(table, like, {settings}, start, stop):
    for _row in range(len(table)):
        _step({arrays}, {settings})
"""

# A program gives the addresses of an array of addresses and of one of float64, the settings.
_PART = """
def step_of_{name}(arrays, size, settings):
    _like = _carray(_pointer(0), 0, _real)
    _step({arrays}, {settings})
    return 0
"""


class _Step(NamedTuple):
    function: Any
    arrays: int
    settings: list[str]


_STEPS: dict[str, _Step] = {}


def rule(states: int) -> Callable[[Callable[..., None]], Any]:
    """Make a kernel of the step of a rule with so many states."""

    def decorate(function: Callable[..., None]) -> Any:
        name, arrays = function.__name__, 2 + states
        settings = list(inspect.signature(function).parameters)[arrays:]
        _STEPS[name] = _Step(serial(function), arrays, settings)
        source = _KERNEL.format(
            name=name,
            settings=", ".join(settings),
            arrays=", ".join(f"_part(table, _row, {i}, start, stop, like)" for i in range(arrays)),
        )
        loop = _function(name, source, _step=_STEPS[name].function, _part=tables.part)
        loop.__module__, loop.__doc__ = function.__module__, function.__doc__
        return kernel(tables.RANGE, LINE, alone)(loop)

    return decorate


def steps(*names: str) -> dict[str, Callable[[Any], Any]]:
    """Return what makes the functions of rules that programs call, by their names."""
    return {f"step_of_{name}": functools.partial(_part, name) for name in names}


def _part(name: str, real: Any) -> Any:
    """Return the function of a rule that programs call, for a type of numbers.

    Each has its own, so that no rule is compiled that nobody asks for.
    """
    step = _STEPS[name]
    reads = [f"_number(settings + {8 * i})" for i in range(len(step.settings))]
    # Programs keep all numbers as float64.
    settings = (
        f"_int64({read})" if setting == "step" else read
        for setting, read in zip(step.settings, reads, strict=True)
    )
    source = _PART.format(
        name=name,
        arrays=", ".join(
            f"_vector(_word(arrays + {8 * i}), size, _like)" for i in range(step.arrays)
        ),
        settings=", ".join(settings),
    )
    return _function(
        f"step_of_{name}", source, _step=step.function, _real=real, _carray=numba.carray,
        _pointer=pointer, _vector=vector, _word=word, _number=number, _int64=np.int64,
    )  # fmt: skip


def _function(name: str, source: str, **names: Any) -> Any:
    exec(compile(source, f"<made of {name}>", "exec"), names)
    return names[name]


@serial
def decayed(g, p, weight_decay):
    """Return the gradient of the loss with the penalty weight_decay / 2 p^2 added."""
    # The test keeps an infinite parameter from turning 0 * inf into NaN; it does not
    # depend on the element and leaves the loop.
    return g + weight_decay * p if weight_decay != 0 else g


@serial
def moved(average, old, d, new, weight_decay):
    """Return old average + new d, a moving average of Adam and those like it.

    With a penalty the product with the average is not rounded, else the other: LLVM chose so once,
    and trainings keep their bits.
    """
    # The test leaves the loop, as that of `decayed`.
    if weight_decay != 0:
        return multiply_add(old, average, new * d)
    return multiply_add(new, d, old * average)
