"""How a serial kernel becomes a parallel one: the cut, and the thin driver.

A kernel is written once, as a serial loop over a range of its outputs::

    @kernel("x.size")
    def relu(x, out, start, stop):
        ...

and is called by compiled code as ``relu(x, out, chunks)``. The driver around it cuts
``range(x.size)`` into ``chunks`` pieces, which depend on nothing but the two numbers, and shares
them out among the threads. Outputs are cut, never sums, so the result has the same bits for any
number of chunks. It takes workspace, as all kernels do, needs none, and returns 0: it is done.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fastnn.kernels.codegen import atomics
from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.plain.table import MOST_CHUNKS
from fastnn.kernels.threading import pool
from fastnn.kernels.tuning import COMMON

# Work of a chunk, in elements of a cheap elementwise loop.
GRAIN = COMMON.grain

# The names of its own begin with an underscore, which no kernel's argument does.
_DRIVER = """
def {name}({args}, chunks, {workers}_space=None):
    _n = {size}
    _length = (_n + chunks * {unit} - 1) // (chunks * {unit}) * {unit}
    _function, _data = _job(_body, ({args},), _n, _length)
    _share(_function, _data, chunks, {limit})
    return 0
"""


@serial
def worth(chunks: int, work: int) -> int:
    """Return how many of a call's chunks a pass of it is worth that is only so much work."""
    return min(chunks, 1 + work // GRAIN)


def kernel(
    size: str, unit: int = 1, body: Callable[[Any], Any] = serial, told: bool = False
) -> Callable[[Callable[..., None]], Any]:
    """Make a kernel of a serial function whose last arguments are ``start, stop``.

    Parameters
    ----------
    size : str
        The length of the range to cut, as an expression of the function's arguments.
    unit : int
        Chunks begin at multiples of this.
    body : function
        How the serial function is compiled, `serial` or `alone`.
    told : bool
        Whether it is told which thread it runs on, by a number before `start`, as one that has
        memory for each thread is; the kernel is then called with `chunks` and how many threads
        there is memory for.
    """

    def decorate(function: Callable[..., None]) -> Any:
        args = list(inspect.signature(function).parameters)[: -3 if told else -2]
        source = _DRIVER.format(
            name=function.__name__, args=", ".join(args), size=size, unit=unit,
            workers="_workers, " if told else "", limit="_workers" if told else "_everyone",
        )  # fmt: skip
        names: dict[str, Any] = {
            "_body": body(function),
            "_job": atomics.told_job if told else atomics.job,
            "_share": pool.share,
            "_everyone": MOST_CHUNKS,
        }
        exec(compile(source, f"<driver of {function.__name__}>", "exec"), names)
        driver = names[function.__name__]
        driver.__doc__ = function.__doc__
        driver.__module__ = function.__module__
        return serial(driver)

    return decorate
