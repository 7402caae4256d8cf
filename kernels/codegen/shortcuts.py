"""What Numba does in fewer steps while kernels are compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from numba import types

from fastnn.kernels.codegen import passes
from fastnn.kernels.codegen.internals import find
from fastnn.kernels.codegen.passes import LOST

_resolve: Any = find("numba.core.types", "Function.get_call_type", LOST)
_size: Any = find("numba.core.base", "BaseContext.get_abi_sizeof", LOST)
_unliteral: Any = types.unliteral

# What was found out before: by the functions' ids, whether constants are types of their own to
# them; by ids and types, the functions, so that their ids stay their own, and the signatures of
# their calls; by types, their bytes.
_tell_constants: dict[int, bool] = {}
_signatures: dict[Any, tuple[Any, Any]] = {}
_sizes: dict[str, int] = {}


def get_call_type(self: Any, context: Any, args: Any, kws: Any) -> Any:
    """Return the signature of a function's call, as Numba does, which tries all rules each time.

    For an operator these are dozens, those for arrays first.
    """
    if kws:
        return _resolve(self, context, args, kws)
    me = id(self)
    if me not in _tell_constants:
        _tell_constants[me] = any(rule.prefer_literal for rule in self.templates)
    exact = tuple(args)
    wide = exact if _tell_constants[me] else tuple(_unliteral(kind) for kind in exact)
    for kinds in (wide, exact):
        if (me, kinds) in _signatures:
            return _signatures[me, kinds][1]
    signature = _resolve(self, context, args, kws)
    # Functions that take constants only have these in their signatures.
    _signatures[me, wide if signature.args == wide else exact] = self, signature
    return signature


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give an object another method in a ``with`` block."""
    before = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if before is None:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


@contextmanager
def taken(context: Any) -> Iterator[None]:
    """Take them in a ``with`` block, in which Numba compiles for a context, and nothing else."""

    def get_abi_sizeof(kind: Any) -> int:
        name = str(kind)
        if name not in _sizes:
            _sizes[name] = _size(context, kind)
        return _sizes[name]

    with ExitStack() as stack:
        if _resolve is not None:
            stack.enter_context(_replaced(types.Function, "get_call_type", get_call_type))
        if _size is not None:
            stack.enter_context(_replaced(context, "get_abi_sizeof", get_abi_sizeof))
        if passes.IS_KNOWN:
            stack.enter_context(_replaced(passes.manager, "_runPass", passes.take))
            stack.enter_context(_replaced(passes.processor, "run", passes.process))
        yield
