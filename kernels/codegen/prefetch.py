"""Memory that will be read soon."""

from llvmlite import ir
from numba import types

from fastnn.kernels.codegen.compile import intrinsic
from fastnn.kernels.codegen.flow import I32, declare

_READ, _SECOND_LEVEL, _DATA = 0, 2, 1


@intrinsic
def prefetch(typingctx, address):
    """Have the cache line at an address brought to the second-level cache, without waiting.

    The address may be any: nothing is read where nothing can be. Processors bring some two dozen
    lines at a time, and some forget what they are asked for meanwhile.
    """

    def codegen(context, builder, signature, args):
        place = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
        numbers = [I32(_READ), I32(_SECOND_LEVEL), I32(_DATA)]
        kinds = [place.type, I32, I32, I32]
        function = declare(builder.module, "llvm.prefetch.p0", ir.VoidType(), kinds)
        builder.call(function, [place, *numbers])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
