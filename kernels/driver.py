"""How a serial kernel becomes a parallel one: compile options, the cut, the thin driver.

A kernel is written once, as a serial loop over a range of its outputs::

    @kernel("x.size")
    def relu(x, out, start, stop):
        ...

and is called as ``relu(x, out, chunks)``. The driver around it cuts ``range(x.size)`` into
``chunks`` pieces, which depend on nothing but the two numbers, and hands each to a thread.
Outputs are cut, never sums, so the result has the same bits for any number of chunks.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numba

from fastnn.kernels import cache, simd

# The default error model tests each divisor for zero, and a branch keeps a loop scalar. Of the
# fast-math flags "contract" (fused multiply-add) alone: nnan and ninf fold isnan to False,
# arcp turns x / tiny into x * inf, and reassoc turns a (1 - y y) into a - a y y.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
# A row sum vectorises only if it may be taken in any order; nothing else is done in these.
SUM_OPTIONS = {**OPTIONS, "fastmath": {"contract", "reassoc", "nsz"}}

# The machine code of a serial function is part of that of its callers: it needs no entry
# points for Python and C, which take a third of the time to compile.
_INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
serial = functools.partial(numba.njit, **_INNER, **OPTIONS)
row_sum = functools.partial(numba.njit, **_INNER, **SUM_OPTIONS)

# Neighbouring chunks of a flat array meet at a multiple of this many elements: a cache line
# of the smallest type, so that no two threads write to one line.
LINE = 64

# The names of its own begin with an underscore, which no kernel's argument does.
_DRIVER = """
def {name}({args}, chunks):
    _n = {size}
    if chunks == 1:
        _mode = _flush_denormals()
        _body({args}, 0, _n)
        _restore_denormals(_mode)
    else:
        _length = (_n + chunks * {unit} - 1) // (chunks * {unit}) * {unit}
        for _c in _prange(chunks):
            _mode = _flush_denormals()
            _body({args}, min(_n, _c * _length), min(_n, _c * _length + _length))
            _restore_denormals(_mode)
"""


def kernel(size: str, unit: int = 1) -> Callable[[Callable[..., None]], Any]:
    """Make a kernel of a serial function whose last arguments are ``start, stop``.

    Parameters
    ----------
    size : str
        The length of the range to cut, as an expression of the function's arguments.
    unit : int
        Chunks begin at multiples of this.
    """

    def decorate(function: Callable[..., None]) -> Any:
        args = list(inspect.signature(function).parameters)[:-2]
        source = _DRIVER.format(name=function.__name__, args=", ".join(args), size=size, unit=unit)
        names = {
            "_body": serial(function),
            "_prange": numba.prange,
            "_flush_denormals": simd.flush_denormals,
            "_restore_denormals": simd.restore_denormals,
        }
        exec(compile(source, f"<driver of {function.__name__}>", "exec"), names)
        driver = names[function.__name__]
        driver.__doc__ = function.__doc__
        driver.__module__ = function.__module__
        dispatcher = numba.njit(driver, parallel=True, **OPTIONS)
        return cache.enable(dispatcher)

    return decorate
