"""Machine code that calls no functions but its own.

A function that LLVM does not inline becomes part of each kernel that calls it, in the form that
the kernel's context gives it. Numba leaves these copies visible, and of one name a process takes
the first that it has met: the copy of a kernel that was loaded before, or, in the process that
compiles, one that was optimised alone. Results are the same but for rounding, as sums may be taken
in another order; so the last bits depended on what was called before. Here each kernel keeps to its
own copies.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels.codegen.internals import find

_LOST = "the last bits of results depend on what was called before"

_compiler: Any = find("numba.core.compiler", "CompilerBase", _LOST)
_builder: Any = find("numba.core.compiler", "DefaultPassBuilder.define_nopython_pipeline", _LOST)
_pass: Any = find("numba.core.compiler_machinery", "LoweringPass", _LOST)
_register: Any = find("numba.core.compiler_machinery", "register_pass", _LOST)
_before: Any = find("numba.core.typed_passes", "IRLegalization", _LOST)
_enable: Any = find("numba.core.codegen", "CPUCodeLibrary.enable_object_caching", _LOST)
_optimize: Any = find("numba.core.codegen", "CPUCodeLibrary._optimize_final_module", _LOST)


def _make() -> Any:
    """Return Numba's compiler, for functions that no compiled code takes apart."""

    @_register(mutates_CFG=False, analysis_only=False)
    class PrivateCopies(_pass):  # type: ignore[misc]
        """Makes the library that the function is lowered into, as the next pass would otherwise."""

        _name = "fastnn_private_copies"

        def __init__(self) -> None:
            _pass.__init__(self)

        def run_pass(self, state: Any) -> bool:
            library = state.targetctx.codegen().create_library(state.func_id.func_qualname)
            library.enable_object_caching()  # upfront, so that it can be kept on disk
            optimize = library._optimize_final_module

            def optimize_then_hide() -> None:
                optimize()
                for function in library._final_module.functions:
                    if not function.is_declaration and function.linkage.name == "linkonce_odr":
                        function.linkage = "internal"

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
PIPELINE: dict[str, Any] = {} if None in _needed else {"pipeline_class": _make()}
