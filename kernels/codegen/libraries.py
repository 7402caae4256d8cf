"""What Numba keeps the machine code of a function in, where it is made once, for the kernel alone.

Numba makes machine code of each function that a kernel calls, and of those that these call: it
optimises them, emits them, and then optimises and emits copies in all of their callers. Nothing
runs but the kernel's own copies. So here the functions inside a kernel are kept as they were
lowered, each is linked into the kernel once, and all is optimised together, which takes less than
half the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm

from fastnn.kernels.codegen import c_function, rounds
from fastnn.kernels.codegen.c_function import functions
from fastnn.kernels.codegen.internals import find, find_set

LOST = (
    "kernels take longer to compile, and the last bits of results depend on what was called before"
)

_CODEGEN = "numba.core.codegen"
_METHODS = (
    "_optimize_final_module", "_get_module_for_linking", "_finalize_dynamic_globals",
    "_raise_if_finalized", "_ensure_finalized", "add_llvm_module", "enable_object_caching",
    "get_pointer_to_function",
)  # fmt: skip

_base: Any = find(_CODEGEN, "JITCodeLibrary", LOST)
IS_KNOWN = (
    all(find(_CODEGEN, f"JITCodeLibrary.{name}", LOST) for name in _METHODS)
    and find_set(_CODEGEN, "CodeLibrary", ("_codegen", "_reload_init"), LOST)
    and find_set(
        _CODEGEN, "CPUCodeLibrary", ("_final_module", "_linking_libraries", "_shared_module"), LOST
    )
    and find(_CODEGEN, "JITCPUCodegen._library_class", LOST) is not None
    and find(_CODEGEN, "JITCPUCodegen.set_env", LOST) is not None
)
_Library: Any = _base if IS_KNOWN else object

# Is told of each kernel when it is optimised, before machine code is made of it.
listeners: list[Callable[[str, Any], None]] = []


class _Unplaced:
    """What makes code, for functions of which most have no place in memory."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, name: str, environment: Any) -> None:
        if self._codegen._engine.is_symbol_defined(name):
            self._codegen.set_env(name, environment)


class _Own(_Library):  # type: ignore[misc]
    """A function of this package."""

    def add_ir_module(self, module: Any) -> None:
        """Take over what Numba has made."""
        if not rounds.is_marked(module):
            super().add_ir_module(module)
            return
        parsed = llvm.parse_assembly(rounds.with_rounds(str(module)))
        parsed.name = module.name
        parsed.verify()
        self.add_llvm_module(parsed)


class Inner(_Own):
    """A function inside a kernel, as it was lowered."""

    _shared_module: Any

    @property
    def codegen(self) -> Any:
        """What makes code."""
        return _Unplaced(self._codegen)

    def add_llvm_module(self, module: Any) -> None:
        """Take over a module."""
        module.data_layout = self._codegen._data_layout
        self._final_module.link_in(module)

    def finalize(self) -> None:
        """Take over no more."""
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        """Return a module of all that it calls, too, for code that is not ours."""
        self._ensure_finalized()
        if self._shared_module is None:
            module = self._final_module.clone()
            own = functions(module, "external")
            _link(module, _inside(self))
            for function in own:
                function.linkage = "linkonce_odr"
            self._shared_module = module
        return self._shared_module

    def get_pointer_to_function(self, name: str) -> int:
        """Return where a wrapper for Python begins, or 0: only functions of users have one."""
        self._ensure_finalized()
        if name not in {f.name for f in functions(self._final_module, "external")}:
            return 0
        module = self._final_module.clone()
        _link(module, _inside(self))
        whole = _base(self._codegen, self.name)
        whole.add_llvm_module(module)
        return int(whole.get_pointer_to_function(name))


class Alone(Inner):
    """A function that is optimised by itself, so that its form does not depend on its callers'."""

    def finalize(self) -> None:
        """Optimise it."""
        _link(self._final_module, _inside(self))
        self._linking_libraries.clear()
        self._optimize_final_module()
        super().finalize()


class Kernel(_Own):
    """A function of integers that C can call under its own name, with all that it calls.

    A function that LLVM does not inline has in each kernel the form that the kernel's context gives
    it. Numba leaves these copies visible, and of one name a process takes the first that it has
    met: the copy of a kernel that was loaded before. Results are the same but for rounding; so the
    last bits depended on what was called before. Here each kernel keeps to its own copies.
    """

    def __init__(self, codegen: Any, name: str, symbol: str, count: int) -> None:
        super().__init__(codegen, name)
        self._symbol, self._count = symbol, count

    def finalize(self) -> None:
        """Make the machine code."""
        libraries = _inside(self)
        for called in libraries:
            self._reload_init.update(called._reload_init)
        self._linking_libraries.clear()
        _link(self._final_module, libraries)
        c_function.wrap(self._final_module, self._symbol, self._count)
        super().finalize()

    def _optimize_final_module(self) -> None:
        super()._optimize_final_module()
        for function in functions(self._final_module, "linkonce_odr"):
            function.linkage = "internal"
        c_function.expect_known(self._final_module, self._symbol)
        for listener in listeners:
            listener(self._symbol, self._final_module)


def _inside(library: Any) -> list[Any]:
    """Return the libraries that one calls, directly or not, in an order of their calls."""
    found: dict[Any, None] = {}
    waiting = list(library._linking_libraries)
    while waiting:
        called = waiting.pop()
        if called not in found:
            found[called] = None
            if isinstance(called, Inner):
                called._ensure_finalized()
                waiting += called._linking_libraries
    return list(found)


def _link(module: Any, libraries: list[Any]) -> None:
    """Link into a module what it calls; of that, copies may be elsewhere."""
    ours = [called._final_module for called in libraries if isinstance(called, Inner)]
    others = [called for called in libraries if not isinstance(called, Inner)]
    names = [function.name for part in ours for function in functions(part, "external")]
    # What may be elsewhere is linked only if something asks for it: so after all that does.
    for part in (*ours, *(called._get_module_for_linking() for called in others)):
        module.link_in(part, preserve=True)
    for name in names:
        module.get_function(name).linkage = "linkonce_odr"


@contextmanager
def inside(codegen: Any) -> Iterator[None]:
    """Keep what is compiled in a ``with`` block as functions inside a kernel."""
    # Not where a kernel comes from disk: that is one that is whole.
    before = vars(codegen).get("_library_class")
    codegen._library_class = Inner
    try:
        yield
    finally:
        if before is None:
            del codegen._library_class
        else:
            codegen._library_class = before
