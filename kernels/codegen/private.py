"""Machine code that calls no functions but its own.

A function that LLVM does not inline becomes part of each kernel that calls it, in the form that
the kernel's context gives it. Numba leaves these copies visible, and of one name a process takes
the first that it has met: the copy of a kernel that was loaded before, or, in the process that
compiles, one that was optimised alone. Results are the same but for rounding, as sums may be taken
in another order; so the last bits depended on what was called before. Here each kernel keeps to its
own copies.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm

from fastnn.kernels.codegen.internals import find

_LOST = "the last bits of results depend on what was called before"

_compiler: Any = find("numba.core.compiler", "CompilerBase", _LOST)
_builder: Any = find("numba.core.compiler", "DefaultPassBuilder.define_nopython_pipeline", _LOST)
_pass: Any = find("numba.core.compiler_machinery", "LoweringPass", _LOST)
_register: Any = find("numba.core.compiler_machinery", "register_pass", _LOST)
_before: Any = find("numba.core.typed_passes", "IRLegalization", _LOST)
_enable: Any = find("numba.core.codegen", "CPUCodeLibrary.enable_object_caching", _LOST)
_optimize: Any = find("numba.core.codegen", "CPUCodeLibrary._optimize_final_module", _LOST)


# What machine code may refer to: the C library, and the table of the pool.
_KNOWN = re.compile(
    r"llvm\..*|mem(set|cpy|move)|pow|sqrtf?|exp|log|tanh|erf|log1p|expm1|sched_yield|"
    r"SwitchToThread|clock_gettime|GetSystemTimePreciseAsFileTime|fastnn_.*"
)

# The function that others call, around the one that Numba makes, which returns through an address
# and gives a status. Arrays are never Numba's own: there is nothing to be freed.
_PLAIN = """
declare i32 @"{inner}"(ptr, ptr{types})
define i64 @{name}({args}) {{
  %result = alloca i64
  %error = alloca ptr
  store i64 0, ptr %result
  %status = call i32 @"{inner}"(ptr %result, ptr %error{passed})
  %failed = icmp ne i32 %status, 0
  %value = load i64, ptr %result
  %returned = select i1 %failed, i64 -1, i64 %value
  ret i64 %returned
}}
"""
_FREE = "NRT_MemInfo_call_dtor"
_NO_MEMORY = f"define void @{_FREE}(ptr %memory) {{\n  ret void\n}}\n"


def _functions(module: Any, linkage: str) -> list[Any]:
    found = [f for f in module.functions if not f.is_declaration]
    return [f for f in found if f.linkage.name == linkage]


def _make_plain(module: Any, name: str, count: int) -> None:
    """Give a module a function of so many integers, by which others call its own."""
    [inner] = _functions(module, "external")
    integers = [f"i64 %a{i}" for i in range(count)]
    text = _PLAIN.format(
        inner=inner.name,
        name=name,
        args=", ".join(integers),
        types=", i64" * count,
        passed="".join(f", {integer}" for integer in integers),
    )
    own = [inner.name]
    if any(f.name == _FREE for f in module.functions):
        text += _NO_MEMORY
        own.append(_FREE)
    module.link_in(llvm.parse_assembly(text))
    for each in own:
        module.get_function(each).linkage = "internal"


def _expect_known(module: Any, name: str) -> None:
    """Raise RuntimeError if the machine code refers to what is not there without Numba."""
    names = [f.name for f in module.functions if f.is_declaration]
    unknown = [other for other in names if not _KNOWN.fullmatch(other)]
    if unknown:
        raise RuntimeError(f"{name}: machine code that refers to {', '.join(unknown)}")


# Is told of each module when it is optimised, before machine code is made of it.
listeners: list[Callable[[str, Any], None]] = []


def _make(plain: bool) -> Any:
    """Return Numba's compiler, for functions that no compiled code takes apart.

    `plain` makes of functions of integers such that C can call, under their own names.
    """

    @_register(mutates_CFG=False, analysis_only=False)
    class PrivateCopies(_pass):  # type: ignore[misc]
        """Makes the library that the function is lowered into, as the next pass would otherwise."""

        _name = f"fastnn_private_copies_{plain}"

        def __init__(self) -> None:
            _pass.__init__(self)

        def run_pass(self, state: Any) -> bool:
            library = state.targetctx.codegen().create_library(state.func_id.func_qualname)
            library.enable_object_caching()  # upfront, so that it can be kept on disk
            optimize, count = library._optimize_final_module, len(state.args)
            name = state.func_id.func_name

            def optimize_then_hide() -> None:
                if plain:
                    _make_plain(library._final_module, name, count)
                optimize()
                module = library._final_module
                for function in _functions(module, "linkonce_odr"):
                    function.linkage = "internal"
                if plain:
                    _expect_known(module, name)
                    for listener in listeners:
                        listener(name, module)

            library._optimize_final_module = optimize_then_hide
            state.library = library
            return True

    class Compiler(_compiler):  # type: ignore[misc]
        """Numba's pipeline, with a pass before it makes machine code."""

        def define_pipelines(self) -> list[Any]:
            passes = _builder(self.state)
            passes.add_pass_after(PrivateCopies, _before)
            passes.finalize()
            return [passes]

    return Compiler


_needed = (_compiler, _builder, _pass, _register, _before, _enable, _optimize)

# What Numba's decorators are given beside the options.
PIPELINE: dict[str, Any] = {} if None in _needed else {"pipeline_class": _make(False)}
PLAIN: dict[str, Any] = {} if None in _needed else {"pipeline_class": _make(True)}
