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

from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import LoweringPass, PassManager, register_pass
from numba.core.typed_passes import IRLegalization


@register_pass(mutates_CFG=False, analysis_only=False)
class _PrivateCopies(LoweringPass):
    """Makes the library that the function is lowered into, as the next pass would otherwise."""

    _name = "fastnn_private_copies"

    def __init__(self) -> None:
        LoweringPass.__init__(self)

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


class Compiler(CompilerBase):
    """Numba's compiler, for functions that no compiled code takes apart."""

    def define_pipelines(self) -> list[PassManager]:
        """Return Numba's pipeline, with a pass before it makes machine code."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(_PrivateCopies, IRLegalization)
        passes.finalize()
        return [passes]
