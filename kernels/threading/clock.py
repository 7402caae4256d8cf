"""The time, for compiled code."""

from __future__ import annotations

import os
import time

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.codegen.flow import I32, I64, declare


@intrinsic
def now(typingctx):
    """Return the time in nanoseconds, from a start that is fixed for the process."""

    def codegen(context, builder, signature, args):
        with builder.goto_entry_block():
            slot = builder.alloca(I64, size=2)
        if os.name == "nt":  # in units of 100 ns
            name = "GetSystemTimePreciseAsFileTime"
            builder.call(declare(builder.module, name, ir.VoidType(), [slot.type]), [slot])
            return builder.mul(builder.load(slot), I64(100))
        get = declare(builder.module, "clock_gettime", I32, [I32, slot.type])
        builder.call(get, [I32(time.CLOCK_MONOTONIC), slot])
        seconds = builder.load(slot)
        rest = builder.load(builder.gep(slot, [I32(1)]))
        return builder.add(builder.mul(seconds, I64(1_000_000_000)), rest)

    return types.int64(), codegen
