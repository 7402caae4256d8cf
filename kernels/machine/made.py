"""Kernels that are compiled here, with Numba, by their names in the catalogue."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

import numba
import numpy as np

from fastnn.kernels.codegen import compile as compiling
from fastnn.kernels.codegen.denormals import flush_denormals, restore_denormals
from fastnn.kernels.codegen.memory import pointer
from fastnn.kernels.codegen.raw import number, word
from fastnn.kernels.machine import catalogue, kept
from fastnn.kernels.machine.signature import REAL, Parameter, Signature

# What takes the arguments out of the words (see :mod:`fastnn.kernels.machine`).
_FUNCTION = """
def {name}(words):
    mode = flush_denormals()
    space = word(words + {space}), word(words + {bytes})
    wanted = kernel({arguments}, word(words + {pieces}), space{needs})
    restore_denormals(mode)
    return wanted
"""


def _argument(parameter: Parameter, signature: Signature, index: int) -> str:
    """Return what takes an argument out of the words."""
    if parameter.axes is None:
        place = len(signature.arrays) + len(signature.lengths) + index
        read = "number" if parameter.kind == "float" else "word"
        value = f"{read}(words + {8 * place})"
        return f"uint64({value})" if parameter.kind == "uint" else value
    lengths = [len(signature.arrays) + signature.lengths.index(name) for name in parameter.axes]
    shape = ", ".join(f"word(words + {8 * place})" for place in lengths)
    return f"carray(pointer(word(words + {8 * index})), ({shape},), {parameter.kind}_)"


def _source(name: str, signature: Signature) -> str:
    counts = {True: 0, False: 0}
    arguments = []
    for parameter in signature.parameters:
        is_array = parameter.axes is not None
        arguments.append(_argument(parameter, signature, counts[is_array]))
        counts[is_array] += 1
    pieces = sum(counts.values()) + len(signature.lengths)
    return _FUNCTION.format(
        name=name, arguments=", ".join(arguments), pieces=8 * pieces, space=8 * (pieces + 1),
        bytes=8 * (pieces + 2),
        needs="".join(
            f", word(words + {8 * (pieces + 3 + i)})" for i in range(len(signature.needs))
        ),
    )  # fmt: skip


@functools.cache
def function(name: str, dtype: Any) -> Any:
    """Return the function of a kernel, to be compiled at need."""
    signature, module = catalogue.taken(name), catalogue.module(name)
    own = catalogue.symbol(name, dtype)
    names: dict[str, Any] = {
        "kernel": getattr(import_module(module), name),
        "word": word,
        "number": number,
        "carray": numba.carray,
        "pointer": pointer,
        "uint64": np.uint64,
        "flush_denormals": flush_denormals,
        "restore_denormals": restore_denormals,
    }
    if signature.is_real:
        names[f"{REAL}_"] = numba.from_dtype(dtype)
    for parameter in signature.arrays:
        if parameter.kind != REAL:
            names[f"{parameter.kind}_"] = numba.from_dtype(np.dtype(parameter.kind))
    exec(compile(_source(own, signature), f"<arguments of {name}>", "exec"), names)
    made = names[own]
    made.__module__ = module
    return compiling.procedure(made)


@functools.cache
def part(name: str, dtype: Any) -> Any:
    """Return a part, a function of integers, to be compiled at need.

    A module has parts under `PARTS`: functions that make them for a type of numbers, or the parts
    themselves, where they know no dtype.
    """
    module = catalogue.module(name)
    made = import_module(module).PARTS[name]
    if catalogue.is_real(name):
        made = made(numba.from_dtype(dtype))
    made.__name__ = made.__qualname__ = catalogue.symbol(name, dtype)
    made.__module__ = module
    return compiling.procedure(made)


def compiled(name: str, dtype: Any) -> Any:
    """Return the function of a kernel or a part, to be compiled at need."""
    return part(name, dtype) if catalogue.is_part(name) else function(name, dtype)


def _address(symbol: str, function: Any, keep: bool = True) -> int:
    """Return where machine code begins, compiled if need be, and kept for others if it may be."""
    found = int(compiling.address(function))
    if keep and kept.can_keep() and (content := compiling.object_code(function)):
        kept.keep(symbol, content)
    return found


def address(name: str, dtype: Any) -> int:
    """Return where the machine code of a kernel or a part begins, compiled if need be."""
    # What was added by others is in sources that nobody looks at.
    function, is_ours = compiled(name, dtype), not catalogue.is_added(name)
    return _address(catalogue.symbol(name, dtype), function, is_ours)


def is_ready(name: str, dtype: Any) -> bool:
    """Say whether it was compiled before, by this process or another."""
    return bool(compiling.is_ready(compiled(name, dtype)))


def caller(name: str) -> Any:
    """Return a function that Python calls, to be compiled at need."""
    return import_module(catalogue.CALLERS[name]).FUNCTION


def caller_address(name: str) -> int:
    """Return where a function that Python calls begins, compiled if need be."""
    return _address(name, caller(name))
