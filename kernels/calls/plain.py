"""The way to a kernel where machine code cannot look into arrays: Python does, and ctypes calls.

It takes microseconds more. See :func:`fastnn.kernels.machine.layout.is_known`.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.kernels.machine import layout, words
from fastnn.kernels.machine.signature import REAL, Signature, shape_of

_KERNEL = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)  # gives up the interpreter's lock
_NOWHERE = np.empty(0, np.uint8)


def refused(*args: Any) -> Any:
    """Return NotImplemented: nothing is done at once."""
    return NotImplemented


def trusted(signature: Signature, table: Any, most: float) -> Callable[..., Any]:
    """Return a function that does what :func:`fastnn_call` does for a trusted routine.

    `table` is the routine's; `most` is the cost up to which a call is done at once.
    """
    count = len(signature.parameters)

    def call(*args: Any) -> Any:
        arrays, numbers, real = [], [], 0
        lengths: dict[str, int] = {}
        for parameter, arg in zip(signature.parameters, args, strict=False):
            if parameter.axes is None:
                numbers.append(_number(arg))
                continue
            arrays.append(0 if arg is None else arg.ctypes.data)
            if arg is not None:
                lengths.update(zip(parameter.axes, shape_of(parameter.axes, arg), strict=True))
                if parameter.kind == REAL:
                    real = layout.DTYPES.index(arg.dtype)
        cost = sum(f * math.prod(lengths[name] for name in names) for f, names in signature.cost)
        if len(args) == count and cost > most:
            return int(cost)
        code = words.CODE + real * (1 + words.MOST_NEEDS)
        if table[code] == 0:
            return -1 - real
        pieces, space = args[count:] or (1, _NOWHERE)
        rest = [
            pieces,
            space.ctypes.data,
            space.size,
            *table[code + 1 : code + 1 + words.MOST_NEEDS],
        ]
        values = [*arrays, *(lengths[name] for name in signature.lengths), *numbers, *rest]
        given = np.array(values, np.int64)
        wanted = _KERNEL(int(table[code]))(given.ctypes.data)
        if wanted < 0:
            return NotImplemented
        if wanted and len(args) == count:
            return call(*args, 1, np.empty(wanted, np.uint8))
        return wanted or None

    return call


def _number(value: Any) -> int:
    """Return the bits of a float64, or an integer's, as a signed one."""
    if isinstance(value, float):
        return int(np.float64(value).view(np.int64))
    return (int(value) + (1 << 63)) % (1 << 64) - (1 << 63)
