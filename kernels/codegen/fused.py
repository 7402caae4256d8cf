"""Which product of a sum of two is rounded."""

from __future__ import annotations

from typing import Any

from numba import types

from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.codegen.flow import declare


@intrinsic
def multiply_add(typingctx, a, b, c):
    """Return a b + c, a b not rounded where the machine can.

    Of a b + c d LLVM fuses either product, as its passes happen to leave them.
    """
    if a not in (types.float32, types.float64) or not a == b == c:
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        real = args[0].type
        name = f"llvm.fmuladd.f{a.bitwidth}"
        return builder.call(declare(builder.module, name, real, [real] * 3), args)

    return a(a, a, a), codegen
