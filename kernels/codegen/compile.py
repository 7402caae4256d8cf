"""How kernels are compiled: the options, in one place, and the decorators that apply them."""

from __future__ import annotations

import functools
from typing import Any

import numba

from fastnn.kernels.codegen import cache

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
inlined = functools.partial(numba.njit, inline="always", **_INNER, **OPTIONS)
row_sum = functools.partial(numba.njit, **_INNER, **SUM_OPTIONS)


def entry(function: Any, *, nogil: bool = True) -> Any:
    """Compile a function that Python calls, and keep its machine code on disk."""
    options = {**OPTIONS, "nogil": nogil, "no_cfunc_wrapper": True}
    return cache.enable(numba.njit(function, **options))


def part(function: Any) -> Any:
    """Compile a function of integers that other compiled code calls by its :func:`address`.

    Its machine code is its own, where that of a serial function is optimised anew as part of
    each caller's. It is kept on disk.
    """
    return cache.enable(numba.njit(function, no_cpython_wrapper=True, **OPTIONS))


def _signature(compiled: Any) -> tuple[Any, ...]:
    return (numba.types.int64,) * compiled.py_func.__code__.co_argcount


def is_ready(compiled: Any) -> bool:
    """Say whether a :func:`part` was compiled before, by this process or another."""
    signature = _signature(compiled)
    return signature in compiled.overloads or compiled._cache.has(
        signature, compiled.targetctx.codegen()
    )


def address(compiled: Any) -> int:
    """Return where the machine code of a :func:`part` begins."""
    signature = _signature(compiled)
    compiled.compile(signature)
    result = compiled.overloads[signature]
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name))
