"""How kernels are compiled: the options, in one place, and the decorators that apply them."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import numba
import numba.extending
from numba import types

from fastnn.kernels.codegen import cache, internals, lock, passes, private, shortcuts
from fastnn.kernels.plain.arrival import arrive
from fastnn.kernels.plain.shared import tell

# The default error model tests each divisor for zero, and a branch keeps a loop scalar. Of the
# fast-math flags "contract" (fused multiply-add) alone: nnan and ninf fold isnan to False,
# arcp turns x / tiny into x * inf, and reassoc turns a (1 - y y) into a - a y y.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
# A row sum vectorises only if it may be taken in any order; nothing else is done in these.
SUM_OPTIONS = {**OPTIONS, "fastmath": {"contract", "reassoc", "nsz"}}

# The machine code of these functions is part of that of their callers, which Python does not call.
_INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# A loop over a function with branches vectorises only if these were simplified before.
ALONE = {**OPTIONS, **_INNER, **private.ALONE}

# Numba's own types know neither all options nor how compiled code calls what they decorate.
_njit: Any = numba.njit
_Function = TypeVar("_Function", bound=Callable[..., Any])
_Dispatcher: Any = internals.find(
    "numba.core.registry", "CPUDispatcher", "calls of functions inside kernels end the process"
)
internals.find("numba.core.dispatcher", "Dispatcher.get_call_template", passes.LOST)
_unliteral: Any = types.unliteral


class _Inside(_Dispatcher or object):  # type: ignore[misc]
    """A function that has nothing for Python to call: Numba would call address 0."""

    def __call__(self, *args: Any, **settings: Any) -> Any:
        name = self.__name__
        raise TypeError(
            f"{name}: expected a call by compiled code; Python calls kernels by "
            f"fastnn.kernels.{name}(..., chunks) or fastnn.ops.{name}, others as {name}.py_func"
        )


class _Inner(_Inside):
    """One that is compiled once for all integers.

    Numba would compile it for each constant that it is called with, as if that were a type.
    """

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Return how it is called with arguments of some types."""
        wide = {name: _unliteral(kind) for name, kind in kws.items()}
        return super().get_call_template([_unliteral(kind) for kind in args], wide)


def _made(kind: type, function: Any, **options: Any) -> Any:
    """Compile a function that only compiled code calls."""
    compiled = _njit(function, **options)
    if _Dispatcher is not None and type(compiled) is _Dispatcher:  # or Numba compiles nothing
        compiled.__class__ = kind
    return compiled


def serial(function: _Function) -> _Function:
    """Compile a function that other compiled code calls."""
    return cast(_Function, _made(_Inner, function, **_INNER, **OPTIONS, **private.INNER))


def alone(function: _Function) -> _Function:
    """Compile a function that other compiled code calls, optimised before it is part of that.

    It takes longer to compile, and some loops are a sixth faster.
    """
    return cast(_Function, _made(_Inner, function, **ALONE))


def inlined(function: _Function) -> _Function:
    """Compile a function as part of each of its callers, before anything is optimised."""
    return cast(_Function, _made(_Inside, function, inline="always", **_INNER, **OPTIONS))


def row_sum(function: _Function) -> _Function:
    """Compile a function that adds up a row, in any order."""
    return cast(_Function, _made(_Inner, function, **ALONE | SUM_OPTIONS))


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that returns a signature, and what emits LLVM IR, one for compiled code.

    Callers leave out its first argument, the typing context.
    """
    return cast(Callable[..., Any], numba.extending.intrinsic(function))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave garbage alone: to look through all that Numba has takes a sixth of its time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            _put_off()
            gc.enable()


_AT_MOST = 1_000_000  # objects that are put off, of some 200 bytes
_put_off_so_far = 0


def _put_off() -> None:
    """Let what is new count as old: else it would be looked through at once."""
    global _put_off_so_far
    if gc.get_freeze_count() > 0:  # that is somebody else's
        return
    _put_off_so_far += gc.get_count()[0]
    if _put_off_so_far > _AT_MOST:
        _put_off_so_far = 0
        gc.collect()
    else:
        gc.freeze()
        gc.unfreeze()


def _kept(dispatcher: Any) -> Any:
    """Keep on disk what is compiled, and let Ctrl-C through while it is; return the dispatcher."""
    compile_: Any = getattr(dispatcher, "compile", None)  # None under NUMBA_DISABLE_JIT

    def interruptible(signature: Any) -> Any:
        with lock.compiling(), _uncollected(), shortcuts.taken(dispatcher.targetctx):
            return compile_(signature)

    if compile_ is not None:
        dispatcher.compile = interruptible
    return cache.enable(dispatcher)


def procedure(function: Any) -> Any:
    """Compile a function of integers that returns one, for everybody who has its :func:`address`.

    It is a function of C under its own name, which is to be its own in the whole process. It is
    kept on disk.
    """
    options = {**OPTIONS, **_INNER, **private.KERNEL}
    options["no_cfunc_wrapper"] = private.IS_KNOWN  # else Numba's is the function of C
    return _kept(_made(_Inside, function, **options))


def _signature(compiled: Any) -> tuple[Any, ...]:
    count: int = compiled.py_func.__code__.co_argcount
    return (numba.types.int64,) * count


def compile_anew(compiled: Any) -> None:
    """Compile a :func:`procedure`, whatever is on disk, and keep nothing there."""
    compiled._cache.disable()
    compiled.compile(_signature(compiled))


def is_ready(compiled: Any) -> bool:
    """Say whether a :func:`procedure` was compiled before, by this process or another."""
    signature = _signature(compiled)
    if signature in compiled.overloads:
        return True
    kept = getattr(compiled._cache, "has", None)  # others than this package's are not kept
    return kept is not None and bool(kept(signature, compiled.targetctx.codegen()))


@functools.cache  # Numba takes locks and timers to say what it has compiled
def address(compiled: Any) -> int:
    """Return where the machine code of a :func:`procedure` begins."""
    signature = _signature(compiled)
    compiled.compile(signature)
    result = compiled.overloads[signature]
    names = compiled.py_func.__name__, result.fndesc.llvm_cfunc_wrapper_name
    found = [int(result.library.get_pointer_to_function(name)) for name in names]
    return found[0] or found[1]


def object_code(compiled: Any) -> bytes | None:
    """Return, once, the machine code of a :func:`procedure` that has an :func:`address`, to link.

    None where it has not the name that C knows it by, or Numba's settings are not the usual ones.
    """
    take: Any = getattr(
        compiled._cache, "take_object", None
    )  # others than this package's have none
    code: bytes | None = take and take(_signature(compiled))
    return code if private.IS_KNOWN and cache.is_usual() else None


internals.warn_of_lost()
# What plain Python calls, too: it has the same bits there, as no product and sum is fused.
tell(numba.extending.register_jitable(**_INNER, **private.INNER, fastmath=False))
arrive()
